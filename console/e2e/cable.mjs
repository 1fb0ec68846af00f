// A way to the service that falls asleep, and ends streams as the service does.
import { createServer, request } from "node:http";
import { base } from "./browser.mjs";

export async function openCable() {
  const target = new URL(base);
  const sockets = new Set();
  const streams = new Set();
  let isAsleep = false;
  let opened = 0;
  let onOpened = () => {};
  const server = createServer((incoming, answer) => {
    const isStream = incoming.url.includes("/events/stream/");
    const headers = { ...incoming.headers, host: target.host };
    const outgoing = request(new URL(incoming.url, target), { method: incoming.method, headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.headers);
      if (isStream) {
        opened += 1;
        streams.add(answer);
        reply.once("data", () => onOpened());
      }
      reply.on("data", (data) => isAsleep || answer.write(data));
      reply.on("end", () => answer.end());
    });
    outgoing.on("error", () => answer.destroy());
    answer.on("close", () => {
      streams.delete(answer);
      outgoing.destroy();
    });
    incoming.pipe(outgoing);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(base);
  url.port = server.address().port;
  return {
    url: url.href,
    /** How many streams were opened. */
    opened: () => opened,
    /** Nothing arrives and nothing breaks, as for a machine that sleeps. */
    sleep(on) {
      isAsleep = on;
    },
    /** End the streams as the service does after a quarter of an hour; return when another one brings something. */
    rotate() {
      const reopened = new Promise((resolve) => {
        onOpened = resolve;
      });
      for (const answer of streams) answer.end('event: end\ndata: {"type":"rotated"}\n\n');
      return reopened;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
