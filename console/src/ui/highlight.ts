/** Code with marks, made by a worker. Agents write the code: what takes seconds ends the worker, and stays plain. */
import { useEffect, useState } from "react";
import type { LineMarks } from "../text/marks";

// The first code of a language waits for its grammar.
const MOST_MS = 10_000;
const LONGEST = 150_000;
const MOST_KEPT = 400;

type Lines = LineMarks[] | null;

let worker: Worker | null = null;
/** One request at a time, so that it is known which one took too long. */
let last: Promise<unknown> = Promise.resolve();
const kept = new Map<string, Promise<Lines>>();

/** The same code is marked once; the newest are kept. */
function mark(language: string, code: string): Promise<Lines> {
  if (code.length > LONGEST || typeof Worker === "undefined") return Promise.resolve(null);
  const key = `${language}\n${code}`;
  const marked = kept.get(key) ?? last.then(() => ask({ language, code }));
  if (kept.has(key)) return marked;
  last = marked;
  kept.set(key, marked);
  const oldest = kept.keys().next();
  if (kept.size > MOST_KEPT && !oldest.done) kept.delete(oldest.value);
  return marked;
}

function ask(request: { language: string; code: string }): Promise<Lines> {
  return new Promise((resolve) => {
    worker ??= new Worker(new URL("./highlight.worker.ts", import.meta.url), { type: "module" });
    const giveUp = () => {
      worker?.terminate();
      worker = null;
      finish(null);
    };
    const timer = setTimeout(giveUp, MOST_MS);
    const finish = (lines: Lines) => {
      clearTimeout(timer);
      resolve(lines);
    };
    worker.onmessage = ({ data }: MessageEvent<Lines>) => finish(data);
    worker.onerror = giveUp;
    worker.postMessage(request);
  });
}

/** Return the marks of pieces of code in one language by the code, once they are there. */
export function useMarks(language: string | null, codes: readonly string[]): ReadonlyMap<string, Lines> {
  const [marks, setMarks] = useState<ReadonlyMap<string, Lines>>(new Map());
  useEffect(() => {
    let isGone = false;
    const all = language ? codes.map(async (code) => [code, await mark(language, code)] as const) : [];
    void Promise.all(all).then((marked) => isGone || setMarks(new Map(marked)));
    return () => {
      isGone = true;
    };
  }, [language, codes]);
  return marks;
}
