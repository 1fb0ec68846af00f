/** Marks code beside the page, which so never waits for it. Answers one request after the other. */
import { markCode } from "./grammars";

const scope = self as unknown as DedicatedWorkerGlobalScope;

scope.addEventListener("message", async ({ data }: MessageEvent<{ language: string; code: string }>) =>
  scope.postMessage(await markCode(data.language, data.code).catch(() => null)),
);
