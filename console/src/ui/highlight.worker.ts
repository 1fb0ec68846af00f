/** Marks code beside the page, which so never waits for it. Answers one request after the other. */
import { markCode } from "./grammars";

self.addEventListener("message", async ({ data }: MessageEvent<{ language: string; code: string }>) =>
  self.postMessage(await markCode(data.language, data.code).catch(() => null)),
);
