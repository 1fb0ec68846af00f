/** Marks code beside the page, which so never waits for it. Answers each request by its id. */
import type { LineMarks } from "../text/marks";
import { markCode } from "./grammars";

export interface MarkRequest {
  id: number;
  language: string;
  code: string;
}

export interface MarkAnswer {
  id: number;
  lines: LineMarks[] | null;
}

const scope = self as unknown as DedicatedWorkerGlobalScope;

scope.addEventListener("message", async ({ data }: MessageEvent<MarkRequest>) => {
  const lines = await markCode(data.language, data.code).catch(() => null);
  scope.postMessage({ id: data.id, lines } satisfies MarkAnswer);
});
