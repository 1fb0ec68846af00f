/** Answers that the service does not give yet: the session, and the diff of a run, made from real rows and its patch. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { splitPatch } from "../src/text/patch.ts";
import type { Stack } from "./backend.ts";

interface Page<T> {
  results: T[];
}

function send(answer: ServerResponse, status: number, body?: unknown): void {
  answer.writeHead(status, { "Content-Type": "application/json" });
  answer.end(body === undefined ? undefined : JSON.stringify(body));
}

async function read(stack: Stack, path: string): Promise<Response> {
  return fetch(stack.base_url + path, { headers: { Authorization: `Bearer ${stack.api_key}` } });
}

export function answerSession(stack: Stack, incoming: IncomingMessage, answer: ServerResponse): boolean {
  if (incoming.url === "/api/console/sessions/") {
    const now = new Date().toISOString();
    const agent = incoming.headers["user-agent"];
    const session = {
      id: "dev",
      created_at: now,
      last_used_at: now,
      user_agent: agent,
      address: "127.0.0.1",
    };
    send(answer, 200, { results: [{ ...session, current: true }] });
    return true;
  }
  if (incoming.url !== "/api/console/session/") return false;
  if (incoming.method === "DELETE") {
    send(answer, 204);
    return true;
  }
  void (async () => {
    const user = await (await read(stack, "/api/users/@me/")).json();
    const { results } = (await (await read(stack, "/api/projects/")).json()) as Page<Record<string, unknown>>;
    const projects = results.map(({ id, name, organization }) => ({ id, name, organization }));
    send(answer, incoming.method === "POST" ? 201 : 200, { id: "dev", user, projects, scopes: ["*"] });
  })();
  return true;
}

export function answerDiff(stack: Stack, incoming: IncomingMessage, answer: ServerResponse): boolean {
  const match = /^(\/api\/projects\/[^/]+\/tasks\/[^/]+\/runs\/[^/]+)\/diff\//.exec(incoming.url ?? "");
  if (!match) return false;
  void (async () => {
    const run = await (await read(stack, `${match[1]}/`)).json();
    const patch = run.artifacts.find((artifact: { name: string }) => artifact.name === "changes.patch");
    if (!patch) return send(answer, 200, { base: null, head: null, files: [], next: null });
    const path = encodeURIComponent(patch.storage_path);
    const text = await (await read(stack, `${match[1]}/artifacts/download/?storage_path=${path}`)).text();
    send(answer, 200, {
      base: run.branch,
      head: run.output?.head_branch,
      files: splitPatch(text),
      next: null,
    });
  })();
  return true;
}
