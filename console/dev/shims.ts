/** The diff of a run, which the service does not give yet, made from its patch. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { splitPatch } from "../src/text/patch.ts";
import type { Stack } from "./backend.ts";

function send(answer: ServerResponse, status: number, body?: unknown): void {
  answer.writeHead(status, { "Content-Type": "application/json" });
  answer.end(body === undefined ? undefined : JSON.stringify(body));
}

async function read(stack: Stack, path: string): Promise<Response> {
  return fetch(stack.base_url + path, { headers: { Authorization: `Bearer ${stack.api_key}` } });
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
