/**
 * Says that a person looks at a task: while the page is visible and has the focus, and not a moment longer.
 *
 * What the page shows is seen once the person gives a sign after it: they move, type or touch. A page that has the
 * focus before an empty chair defers the pushes to other devices, and leaves them to be sent when it lapses.
 */
import { useEffect } from "react";
import { beat, leave } from "../../api/attention";
import { closeNotices } from "../project/notices";
import { useProject } from "../project/project";

const BEAT_MS = 30_000;
const SIGNS = ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"] as const;

interface Wire {
  /** `seenSeq` is the number of the last event that was seen; null: no event came since the page shows the task. */
  beat(seenSeq: number | null): void;
  leave(): void;
}

/** What is said of one task, and when. Without a clock or a page, which call it. */
export class Presence {
  private isPresent = false;
  private hasUnseen = false;
  private latest: number | null = null;
  private seen: number | null = null;

  constructor(private readonly wire: Wire) {}

  /** The person may have begun or stopped to look, or it is time for a beat. */
  update(isLooking: boolean): void {
    if (!isLooking) return this.leave();
    // Coming to the page is a sign of its own.
    if (!this.isPresent) this.see();
    this.isPresent = true;
    this.wire.beat(this.seen);
  }

  leave(): void {
    if (!this.isPresent) return;
    this.isPresent = false;
    this.wire.leave();
  }

  /** An event of the task is shown now. The service must know that before the person leaves, who may not see it. */
  show(seq: number): void {
    this.latest = Math.max(this.latest ?? 0, seq);
    if (!this.isPresent || this.hasUnseen) return;
    this.hasUnseen = true;
    this.seen = Math.max(this.seen ?? 0, seq - 1);
    this.wire.beat(this.seen);
  }

  /** The person gives a sign that they look. */
  sign(): void {
    if (!this.isPresent || !this.hasUnseen) return;
    this.see();
    this.wire.beat(this.seen);
  }

  private see(): void {
    this.hasUnseen = false;
    this.seen = this.latest;
  }
}

const isLooking = () => document.visibilityState === "visible" && document.hasFocus();

export function usePresence(task: string): void {
  const { project, session, stream } = useProject();
  useEffect(() => {
    // One after the other: a beat that arrives behind its leave would count for a minute.
    let sending = Promise.resolve();
    const presence = new Presence({
      beat: (seenSeq) => {
        const seen = seenSeq === null ? {} : { seen_seq: seenSeq };
        const said = { device_id: session.id, focused: true, ...seen };
        sending = sending.then(() => beat(project.id, task, said)).catch(() => {});
      },
      leave: () => {
        sending = sending.then(() => leave(project.id, task, session.id)).catch(() => {});
      },
    });
    const update = () => {
      // An event that comes before the stream has begun is not heard of, so it must not be held back for this page.
      presence.update(isLooking() && stream?.hasBegun === true);
      if (isLooking()) void closeNotices({ task }).catch(() => {});
    };
    // The page may not live to see the end of a beat that is under way.
    const onPageHide = () => {
      sending = Promise.resolve();
      presence.leave();
    };
    const onSign = (event: Event) => {
      const { movementX, movementY } = event as PointerEvent;
      // A layout that moves under a resting pointer makes events, too.
      if (event.type !== "pointermove" || movementX !== 0 || movementY !== 0) presence.sign();
    };
    const unlisten = stream?.listen(({ seq, data }) => {
      if (data.task_id === task) presence.show(seq);
    });
    const stopWaiting = stream?.onceBegun(update);
    const timer = setInterval(update, BEAT_MS);
    update();
    const shown = new AbortController();
    const { signal } = shown;
    for (const name of ["focus", "blur"]) window.addEventListener(name, update, { signal });
    for (const name of SIGNS) window.addEventListener(name, onSign, { signal, passive: true, capture: true });
    document.addEventListener("visibilitychange", update, { signal });
    window.addEventListener("pagehide", onPageHide, { signal });
    return () => {
      unlisten?.();
      stopWaiting?.();
      clearInterval(timer);
      presence.leave();
      shown.abort();
    };
  }, [project.id, session.id, stream, task]);
}
