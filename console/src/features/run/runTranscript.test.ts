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
              log
                ? new Response(log.map((entry) => `${JSON.stringify(entry)}\n`).join(""))
                : new Response(JSON.stringify({}), { status: 503 }),
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
    transcript.get().transcript.items.map((item) => (item.kind === "agent" ? item.text : item.kind));

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

  it("goes on behind a gap while the log cannot be read, and loses none of that", async () => {
    listener.onEvent(line(1));
    await vi.advanceTimersByTimeAsync(50);
    log = null;
    listener.onGap({ type: "gap", lost: 1 });
    await answer();
    listener.onEvent(line(3));
    await vi.advanceTimersByTimeAsync(50);
    expect(shown()).toEqual(["1", "gap", "3"]);
    // The newest entry is not stored yet.
    log = [line(1), line(2)];
    await vi.advanceTimersByTimeAsync(3000);
    listener.onEvent(line(4));
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

describe("a transcript of a run that is over", () => {
  const stream = {} as ProjectStream;
  afterEach(() => vi.unstubAllGlobals());

  /** Answer with a log in pieces of some bytes, and with how many entries the earlier run has. */
  const answerWith = (text: string, size: number, earlier: number) => {
    const bytes = new TextEncoder().encode(text);
    const requests: string[] = [];
    vi.stubGlobal("fetch", async (address: string) => {
      requests.push(address);
      if (address.includes("session_logs"))
        return new Response("[]", { headers: { "X-Total-Count": String(earlier) } });
      return new Response(
        new ReadableStream({
          start(controller) {
            for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
            controller.close();
          },
        }),
      );
    });
    return requests;
  };
  const read = (transcript: RunTranscript) =>
    new Promise<unknown[]>((resolve) => {
      transcript.subscribe(() => resolve(transcript.get().transcript.items.map(({ id }) => id)));
      transcript.follow(stream, true);
    });
  const ref = { project: 1, task: "t", run: "r" };

  it.each([1, 7, 1_000_000])(
    "is read from its log, whatever the pieces that it comes in: %i bytes",
    async (size) => {
      const text = `${JSON.stringify(line(1))}\n\nnot JSON\n[]\n${JSON.stringify(line(2))}\n${JSON.stringify({ ...line(3), name: "ü€😀" })}`;
      answerWith(text, size, 0);
      expect(await read(new RunTranscript(ref, null))).toEqual(["agent:m1", "agent:m2", "agent:m3"]);
    },
  );

  it("lets its log go if the entries of the earlier run cannot be counted", async () => {
    const isLetGo = new Promise((resolve) => {
      vi.stubGlobal("fetch", async (address: string) => {
        if (address.includes("session_logs")) return new Response("", { status: 503 });
        const start = (controller: ReadableStreamDefaultController) => {
          for (let number = 0; number < 3000; number += 1)
            controller.enqueue(new TextEncoder().encode(`${JSON.stringify(line(number))}\n`));
        };
        return new Response(new ReadableStream({ start, cancel: resolve }));
      });
    });
    new RunTranscript(ref, "earlier").read();
    await isLetGo;
  });

  it("begins behind the entries of the run that it continues", async () => {
    const lines = [1, 2, 3, 4].map((number) => `${JSON.stringify(line(number))}\n`).join("");
    const requests = answerWith(`null\n${lines}`, 50, 3);
    expect(await read(new RunTranscript(ref, "earlier"))).toEqual(["agent:m4"]);
    expect(requests.length).toBe(2);
  });

  it("is read once, however often it is opened", async () => {
    const requests = answerWith(JSON.stringify(line(1)), 50, 0);
    const transcript = new RunTranscript(ref, null);
    transcript.read();
    await read(transcript);
    transcript.follow(stream, true);
    expect(requests.length).toBe(1);
  });
});
