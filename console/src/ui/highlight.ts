/**
 * Code with marks, made by a worker. Agents write the code: what the worker does not answer in seconds ends it, and
 * stays plain.
 */
import { useEffect, useState } from "react";
import type { LineMarks } from "../text/marks";
import type { MarkAnswer, MarkRequest } from "./highlight.worker";

// The first code of a language waits for its grammar.
const MOST_MS = 10_000;
const LONGEST = 150_000;
const MOST_KEPT = 400;

interface Job {
  request: MarkRequest;
  resolve: (lines: LineMarks[] | null) => void;
}

type Lines = LineMarks[] | null;

/** One request at a time, so that it is known which one took too long. */
class Highlighter {
  private worker: Worker | null = null;
  private waiting: Job[] = [];
  private current: Job | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private serial = 0;
  private kept = new Map<string, Promise<Lines>>();

  /** The same code is marked once; the newest are kept. */
  mark(language: string, code: string): Promise<Lines> {
    if (code.length > LONGEST || typeof Worker === "undefined") return Promise.resolve(null);
    const key = `${language}\n${code}`;
    const known = this.kept.get(key);
    if (known) return known;
    const marked = new Promise<Lines>((resolve) => {
      this.serial += 1;
      this.waiting.push({ request: { id: this.serial, language, code }, resolve });
      this.next();
    });
    this.kept.set(key, marked);
    const oldest = this.kept.keys().next();
    if (this.kept.size > MOST_KEPT && !oldest.done) this.kept.delete(oldest.value);
    return marked;
  }

  private next(): void {
    if (this.current) return;
    const job = this.waiting.shift();
    if (!job) return;
    this.current = job;
    this.worker ??= this.start();
    this.worker.postMessage(job.request);
    this.timer = setTimeout(() => this.giveUp(), MOST_MS);
  }

  private start(): Worker {
    const worker = new Worker(new URL("./highlight.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<MarkAnswer>) => {
      if (data.id === this.current?.request.id) this.finish(data.lines);
    };
    worker.onerror = () => this.giveUp();
    return worker;
  }

  private giveUp(): void {
    this.worker?.terminate();
    this.worker = null;
    this.finish(null);
  }

  private finish(lines: Lines): void {
    clearTimeout(this.timer);
    const job = this.current;
    this.current = null;
    job?.resolve(lines);
    this.next();
  }
}

const highlighter = new Highlighter();

/** Return the marks of pieces of code in one language, each once it is there; none for null. */
export function useMarks(language: string | null, codes: readonly string[]): readonly Lines[] {
  const [marks, setMarks] = useState<readonly Lines[]>([]);
  useEffect(() => {
    if (!language || codes.length === 0) return;
    let isGone = false;
    void Promise.all(codes.map((code) => highlighter.mark(language, code))).then((lines) => {
      if (!isGone) setMarks(lines);
    });
    return () => {
      isGone = true;
      setMarks([]);
    };
  }, [language, codes]);
  return marks;
}
