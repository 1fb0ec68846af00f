/** Times in the reader's zone: short and relative to read, whole as the tip. */
import { countOf } from "./counts";
import { Store, useStore } from "./store";

const MINUTE = 60_000;
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const second = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const dayAndYear = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", year: "numeric" });

const now = new Store(Date.now());
setInterval(() => now.set(Date.now()), MINUTE / 2);

export function ageOf(iso: string, at: number): string {
  const then = new Date(iso);
  const minutes = Math.floor((at - then.getTime()) / MINUTE);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes}m`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h`;
  if (minutes < 7 * 24 * 60) return `${Math.floor(minutes / 60 / 24)}d`;
  return (then.getFullYear() === new Date(at).getFullYear() ? day : dayAndYear).format(then);
}

/** The time alone where it is today, else with its day. */
const sameDay = (today: Intl.DateTimeFormat) => (iso: string) => {
  const date = new Date(iso);
  return (date.toDateString() === new Date().toDateString() ? today : whole).format(date);
};

export const clockTime = sameDay(clock);
/** To the second, for what happens within a minute. */
export const preciseTime = sameDay(second);

export const wholeTime = (iso: string) => whole.format(new Date(iso));

export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}m ${seconds % 60}s` : `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}

const UNITS = [
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
] as const;

/** Return a span of time in words, such as "1 hour 30 minutes". */
export function spanInWords(seconds: number): string {
  let rest = seconds;
  const parts = UNITS.map(([unit, length]) => {
    const count = Math.floor(rest / length);
    rest -= count * length;
    return count ? countOf(count, unit) : "";
  });
  return parts.filter(Boolean).join(" ");
}

const SPAN = /^\d+[mhd]$/;

/** How long ago something was; in a sentence, a span of time says that it is one. */
export function Age({ at, inSentence = false }: { at: string; inSentence?: boolean }) {
  const age = ageOf(at, Math.max(useStore(now), Date.parse(at)));
  return (
    <time dateTime={at} title={wholeTime(at)}>
      {inSentence && SPAN.test(age) ? `${age} ago` : age}
    </time>
  );
}

/** What has happened, and how long ago. */
export function Since({ at, children }: { at: string; children: string }) {
  return (
    <span>
      {children} <Age at={at} inSentence />
    </span>
  );
}
