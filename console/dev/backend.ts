/**
 * Development only: serves `/api` from the stack that `make run` started.
 *
 * It reads the address from dev.json of TASKBEACON_HOME. `vite preview` also sends the content security
 * policy of the service, so that what breaks it is seen before it is released.
 */
import { readFileSync } from "node:fs";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Connect, Plugin } from "vite";

interface Stack {
  base_url: string;
  s3_endpoint_url: string;
}

function readStack(): Stack {
  const home = process.env.TASKBEACON_HOME ?? join(import.meta.dirname, "../../.taskbeacon");
  return JSON.parse(readFileSync(join(home, "dev.json"), "utf8"));
}

function policy(stack: Stack): string {
  const files = new URL(stack.s3_endpoint_url).origin;
  return [
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; worker-src 'self'",
    `img-src 'self' data: blob: ${files}; connect-src 'self' ${files}`,
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  ].join("; ");
}

function forward(stack: Stack, incoming: IncomingMessage, answer: ServerResponse): void {
  const target = new URL(incoming.url ?? "/", stack.base_url);
  const headers = { ...incoming.headers, host: target.host };
  const outgoing = request(target, { method: incoming.method ?? "GET", headers }, (reply) => {
    answer.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(answer);
  });
  outgoing.on("error", () => {
    if (!answer.headersSent) answer.writeHead(502);
    answer.end();
  });
  answer.on("close", () => outgoing.destroy());
  incoming.pipe(outgoing);
}

function serve(): Connect.NextHandleFunction {
  return (incoming, answer, next) => {
    if (!incoming.url?.startsWith("/api/")) return next();
    forward(readStack(), incoming, answer);
  };
}

export function backend(): Plugin {
  return {
    name: "taskbeacon-backend",
    configureServer: (server) => void server.middlewares.use(serve()),
    configurePreviewServer: (server) => {
      server.middlewares.use((_incoming, answer, next) => {
        answer.setHeader("Content-Security-Policy", policy(readStack()));
        next();
      });
      server.middlewares.use(serve());
    },
  };
}
