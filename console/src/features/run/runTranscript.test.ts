// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ProjectStream, RunListener } from "../../api/stream";
import { RunTranscript } from "./runTranscript";

const line = (number: number) => ({
  type: "notification",
  timestamp: `2026-01-01T00:00:${String(number).padStart(2, "0")}Z`,
  notification: {
    method: "session/update",
    params: { update: { sessionUpdate: "agent_message", messageId: `m${number}`, content: `${number}` } },
  },
});

describe("a transcript of a live run", () => {
  /** What the log has; null: it cannot be read. */
  let log: unknown[] | null = [];
  /** Answers to requests of the log that wait. */
  let waiting: (() => void)[] = [];
  let listener: RunListener;
  let transcript: RunTranscript;

  beforeEach(() => {
    vi.useFakeTimers();
    log = [];
    waiting = [];
    vi.stubGlobal(
      "fetch",
      () =>
        new Promise<Response>((resolve) => {
          waiting.push(() =>
            resolve(
              log ? new Response(JSON.stringify(log)) : new Response(JSON.stringify({}), { status: 503 }),
            ),
          );
        }),
    );
    transcript = new RunTranscript({ project: 1, task: "t", run: "r" }, null);
    const stream = {
      follow: (_run: string, _from: string | null, one: RunListener) => {
        listener = one;
        return () => {};
      },
    };
    transcript.follow(stream as unknown as ProjectStream, false);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  const answer = async () => {
    for (const one of waiting.splice(0)) one();
    await vi.advanceTimersByTimeAsync(50);
  };
  const shown = () =>
    transcript.getSnapshot().transcript.items.map((item) => (item.kind === "agent" ? item.text : item.kind));

  it("fills a gap from the log, and takes what both have once", async () => {
    listener.onEvent(line(1));
    listener.onGap({ type: "gap", lost: 2 });
    log = [line(1), line(2), line(3), line(4)];
    listener.onEvent(line(4));
    listener.onEvent(line(5));
    await answer();
    expect(shown()).toEqual(["1", "2", "3", "4", "5"]);
  });

  it("fills a gap that opens while another is being filled", async () => {
    listener.onGap({ type: "gap", lost: 1 });
    log = [line(1)];
    const first = waiting.splice(0);
    listener.onGap({ type: "gap", lost: 2 });
    listener.onEvent(line(4));
    for (const one of first) one();
    await vi.advanceTimersByTimeAsync(50);
    log = [line(1), line(2), line(3), line(4)];
    await answer();
    expect(shown()).toEqual(["1", "2", "3", "4"]);
  });

  it("shows the gap while the log cannot be read, and fills it when it can", async () => {
    log = null;
    listener.onGap({ type: "gap", lost: 2 });
    await answer();
    expect(shown()).toEqual(["gap"]);
    listener.onEvent(line(3));
    await vi.advanceTimersByTimeAsync(3000);
    log = [line(1), line(2)];
    await answer();
    expect(shown()).toEqual(["1", "2", "3"]);
  });
});
