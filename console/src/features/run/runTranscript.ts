/**
 * The transcript of one run as a store: the log and the stream put together so that nothing is doubled and nothing
 * missing, published once a frame.
 *
 * A run that is over is read from its log. A live one is read from its stream, which begins at the beginning. Where
 * the stream has lost events (it keeps 2,000), the log fills the gap: then the transcript is built again from the
 * log, and what the log and the stream both have is taken once.
 */
import type { RunRef } from "../../api/commands";
import { countLog, readLog } from "../../api/logs";
import type { ProjectStream } from "../../api/stream";
import { append, EMPTY, type Transcript } from "../../transcript/append";
import { entryKey, readEntry } from "../../transcript/wire";
import { Store } from "../../ui/store";

export interface Snapshot {
  transcript: Transcript;
  load: "loading" | "ready" | "failed";
}

const HIDDEN_FLUSH_MS = 500;
const RETRY_MS = 3000;
/** A log that is longer than this under way is shown as far as it has come, again and again. */
const PROGRESS_MS = 500;

export class RunTranscript extends Store<Snapshot> {
  private queue: unknown[] = [];
  private isScheduled = false;
  private isHealing = false;
  /** Whether the log is being read to fill a gap: new events wait for it. */
  private isReading = false;
  /** New events that were shown behind a gap; the log that fills it may not have them yet. */
  private behindGap: unknown[] = [];
  private gaps = 0;
  /** What the log had when it filled a gap; the stream may bring it once more. */
  private fromLog = new Set<string>();
  private place: string | null = null;
  private isBegun = false;

  constructor(
    readonly ref: RunRef,
    private readonly earlierRun: string | null,
  ) {
    super({ transcript: EMPTY, load: "loading" });
  }

  /** Follow the run while it is shown; return how to stop. A run that is over is read once. */
  follow(stream: ProjectStream, isOver: boolean): () => void {
    if (isOver && !this.place) {
      this.read();
      return () => {};
    }
    const stop = stream.follow(this.ref.run, this.place, {
      onEvent: (event) => this.take(event),
      onGap: (gap) => void this.heal(gap),
    });
    return () => {
      this.place = stream.placeOf(this.ref.run);
      stop();
    };
  }

  /** Read the log of a run that is over, once. */
  read(): void {
    if (this.isBegun) return;
    this.isBegun = true;
    void this.rebuild();
  }

  private take(event: unknown): void {
    this.queue.push(event);
    if (this.isScheduled || this.isReading) return;
    this.isScheduled = true;
    // A hidden page has no frames.
    if (document.visibilityState === "hidden") setTimeout(this.flush, HIDDEN_FLUSH_MS);
    else requestAnimationFrame(this.flush);
  }

  private flush = (): void => {
    this.isScheduled = false;
    if (this.isReading) return;
    const events = this.queue.filter((event) => !this.isKnown(event));
    this.queue = [];
    if (this.isHealing) this.behindGap.push(...events);
    this.set({ transcript: append(this.get().transcript, events), load: "ready" });
  };

  private isKnown(event: unknown): boolean {
    if (this.fromLog.size === 0) return false;
    if (this.fromLog.has(entryKey(event))) return true;
    // The log has whole messages only: pieces of what it has are older than its end.
    const entry = readEntry(event);
    const update = entry.params.update as { sessionUpdate?: string } | undefined;
    const isPiece = update?.sessionUpdate === "agent_message_chunk";
    return isPiece && entry.timestamp <= this.get().transcript.lastTimestamp;
  }

  /** Fill a gap from the log. Until the log can be read, the gap is shown, and behind it what the stream brings. */
  private async heal(gap: unknown): Promise<void> {
    this.gaps += 1;
    if (this.isHealing) return;
    this.isHealing = true;
    let isShown = false;
    for (let healed = 0; healed < this.gaps; ) {
      const known = this.gaps;
      this.isReading = true;
      const isRead = await this.rebuild();
      if (isRead) {
        healed = known;
        continue;
      }
      this.isReading = false;
      if (!isShown) this.set({ transcript: append(this.get().transcript, [gap]), load: "ready" });
      isShown = true;
      this.flush();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    this.gaps = 0;
    this.isHealing = this.isReading = false;
    this.queue.unshift(...this.behindGap.splice(0));
    this.flush();
  }

  /** Build the transcript from the log; False if the log could not be read. */
  private async rebuild(): Promise<boolean> {
    try {
      const earlier = this.earlierRun ? countLog({ ...this.ref, run: this.earlierRun }) : Promise.resolve(0);
      // Awaited below, unless the log itself cannot be read.
      earlier.catch(() => {});
      let transcript = EMPTY;
      let left: number | undefined;
      let shownAt = performance.now();
      const keys = new Set<string>();
      for await (const batch of readLog(this.ref)) {
        left ??= await earlier;
        const entries = batch.slice(left);
        left = Math.max(0, left - batch.length);
        transcript = append(transcript, entries);
        if (this.isHealing) for (const entry of entries) keys.add(entryKey(entry));
        else if (performance.now() - shownAt > PROGRESS_MS) {
          this.set({ transcript, load: "ready" });
          shownAt = performance.now();
        }
      }
      this.fromLog = keys;
      this.set({ transcript, load: "ready" });
      return true;
    } catch {
      if (!this.isHealing) {
        this.set({ transcript: this.get().transcript, load: "failed" });
        setTimeout(() => void this.rebuild(), RETRY_MS);
      }
      return false;
    }
  }
}
