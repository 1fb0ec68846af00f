// A way to the service that falls asleep, and ends streams as the service does.
import { createServer, request } from "node:http";
import { base } from "./browser.mjs";

export async function openCable() {
  const target = new URL(base);
  const sockets = new Set();
  const streams = new Set();
  const broken = new Set();
  let isAsleep = false;
  let opened = 0;
  let onOpened = () => {};
  const server = createServer((incoming, answer) => {
    const isStream = incoming.url.includes("/events/stream/");
    const headers = { ...incoming.headers, host: target.host };
    // What has lost a piece must bring nothing that comes behind it.
    const pass = (piece) => {
      if (isAsleep) broken.add(answer);
      if (!broken.has(answer)) piece();
    };
    const outgoing = request(new URL(incoming.url, target), { method: incoming.method, headers }, (reply) => {
      pass(() => answer.writeHead(reply.statusCode, reply.headers));
      if (isStream) {
        opened += 1;
        streams.add(answer);
        reply.once("data", () => onOpened());
      }
      reply.on("data", (data) => pass(() => answer.write(data)));
      reply.on("end", () => pass(() => answer.end()));
    });
    outgoing.on("error", () => answer.destroy());
    answer.on("close", () => {
      streams.delete(answer);
      broken.delete(answer);
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
    /** Nothing arrives, as for a machine that sleeps; then requests that lost something break, and streams stay silent. */
    sleep(on) {
      isAsleep = on;
      if (!on) for (const answer of broken) if (!streams.has(answer)) answer.destroy();
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
