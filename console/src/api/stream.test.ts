// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type LedgerEvent, ProjectStream } from "./stream";

class Source extends EventTarget {
  static readonly CLOSED = 2;
  static opened: Source[] = [];
  readyState = 1;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;

  constructor(readonly url: string) {
    super();
    Source.opened.push(this);
  }

  close(): void {
    this.readyState = Source.CLOSED;
  }

  say(type: string, data: object, lastEventId: string): void {
    const event = new MessageEvent(type, { data: JSON.stringify(data), lastEventId });
    if (type === "message") this.onmessage?.(event);
    else this.dispatchEvent(event);
  }
}

const latest = () => Source.opened.at(-1) as Source;
const placeOf = ({ url }: Source) => new URL(url, "http://x").searchParams.get("last_event_id");

describe("the stream of a page", () => {
  const said: string[] = [];
  let stream: ProjectStream;
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("EventSource", Source);
    Source.opened = [];
    said.length = 0;
    stream = new ProjectStream(1, {
      onLedgerGap: () => said.push("gap"),
      onOffline: (isOffline) => said.push(isOffline ? "offline" : "live"),
      onRefused: () => said.push("refused"),
    });
    vi.advanceTimersByTime(0);
  });
  afterEach(() => {
    stream.close();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("goes on where it began, even if it breaks before its first event", () => {
    stream.onceBegun(() => said.push("heard"));
    expect(stream.hasBegun).toBe(false);
    latest().say("keepalive", {}, "7-1");
    expect(stream.hasBegun).toBe(true);
    latest().onerror?.();
    vi.advanceTimersByTime(1000);
    expect(Source.opened.map(placeOf)).toEqual([null, "7-1"]);
    latest().say("keepalive", {}, "7-1");
    expect(said).toEqual(["heard", "offline"]);
  });

  it("goes on with the last place of each topic when the topics change or the service rotates it", () => {
    const run: unknown[] = [];
    const listener = { onEvent: (event: unknown) => run.push(event), onGap: () => {} };
    const ledger: string[] = [];
    stream.listen((event: LedgerEvent) => ledger.push(event.id));
    stream.follow("r", null, listener);
    vi.advanceTimersByTime(0);
    latest().say("message", { id: "e1" }, "8-1");
    latest().say("run:r", { n: 1 }, "8-1;r=5-0");
    latest().say("end", { type: "rotated" }, "8-1;r=5-0");
    vi.advanceTimersByTime(0);
    expect(placeOf(latest())).toBe("8-1;r=5-0");
    expect([run, ledger]).toEqual([[{ n: 1 }], ["e1"]]);
  });

  it("comes back when nothing broke and nothing came for long, as after a sleep", () => {
    latest().say("keepalive", {}, "7-1");
    vi.advanceTimersByTime(42_000);
    expect(latest().readyState).toBe(Source.CLOSED);
    // The longest first pause.
    vi.advanceTimersByTime(625);
    expect(placeOf(latest())).toBe("7-1");
    expect(latest().readyState).toBe(1);
  });

  it("waits longer each time where the service ends each stream at once, and not after a useful one", () => {
    const isBackWithin = (ms: number) => {
      const opened = Source.opened.length;
      latest().onopen?.();
      latest().onerror?.();
      vi.advanceTimersByTime(ms);
      return Source.opened.length > opened;
    };
    expect(isBackWithin(700)).toBe(true);
    for (const ms of [1400, 2800, 5600]) expect(isBackWithin(ms)).toBe(true);
    expect(isBackWithin(700)).toBe(false);
    vi.advanceTimersByTime(15_000);
    latest().onopen?.();
    vi.advanceTimersByTime(20_000);
    latest().onerror?.();
    const opened = Source.opened.length;
    vi.advanceTimersByTime(700);
    expect(Source.opened.length).toBe(opened + 1);
  });

  it("says that nothing is heard of a service that hangs, until its stream is open again", () => {
    latest().onopen?.();
    latest().say("keepalive", {}, "7-1");
    vi.advanceTimersByTime(41_000);
    expect(said).toEqual(["live"]);
    // The next ones are taken by the machine of the service, and not answered either.
    vi.advanceTimersByTime(100_000);
    expect(Source.opened.length).toBeGreaterThan(2);
    expect(new Set(said.slice(1))).toEqual(new Set(["offline"]));
    latest().onopen?.();
    expect(said.at(-1)).toBe("live");
  });

  it("tries again at once when the browser goes offline: what was open may be still", () => {
    latest().onopen?.();
    window.dispatchEvent(new Event("offline"));
    vi.advanceTimersByTime(0);
    expect(Source.opened.map(({ readyState }) => readyState)).toEqual([Source.CLOSED, 1]);
    latest().onerror?.();
    expect(said).toEqual(["live", "offline"]);
  });

  it("says that it was refused, which an outage is not", () => {
    latest().onerror?.();
    expect(said).toEqual(["offline"]);
    vi.advanceTimersByTime(1000);
    latest().readyState = Source.CLOSED;
    latest().onerror?.();
    expect(said).toEqual(["offline", "refused", "offline"]);
  });
});
