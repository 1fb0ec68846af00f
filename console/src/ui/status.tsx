/** The state of a run, and the verdict about its work, as an icon and a word; colour only repeats what they say. */
import {
  Ban,
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleDot,
  CircleHelp,
  CircleX,
  Clock3,
  LoaderCircle,
  type LucideIcon,
  MessageCircle,
  ScanSearch,
  Shield,
  ShieldAlert,
  ShieldCheck,
  ShieldX,
} from "lucide-react";
import type { Verification } from "../api/types";
import { classes } from "./classes";
import styles from "./status.module.css";

export type State =
  | "draft"
  | "queued"
  | "running"
  | "checking"
  | "question"
  | "message"
  | "completed"
  | "failed"
  | "cancelled"
  | "not_started";

const LOOKS: Record<State, { icon: LucideIcon; word: string; tone: string | undefined }> = {
  draft: { icon: CircleDashed, word: "Draft", tone: styles.neutral },
  not_started: { icon: CircleDot, word: "Not started", tone: styles.neutral },
  queued: { icon: Clock3, word: "Queued", tone: styles.neutral },
  running: { icon: LoaderCircle, word: "Running", tone: styles.running },
  checking: { icon: ScanSearch, word: "Checking", tone: styles.running },
  question: { icon: CircleHelp, word: "Asks you", tone: styles.attention },
  message: { icon: MessageCircle, word: "Waits for you", tone: styles.attention },
  completed: { icon: CircleCheck, word: "Completed", tone: styles.success },
  failed: { icon: CircleX, word: "Failed", tone: styles.danger },
  cancelled: { icon: Ban, word: "Cancelled", tone: styles.neutral },
};

export const stateWord = (state: State) => LOOKS[state].word;

export function StateIcon({ state, size = 16 }: { state: State; size?: number }) {
  const { icon: Icon, word, tone } = LOOKS[state];
  return (
    <span className={classes(styles.state, tone)} role="img" aria-label={word} title={word}>
      <Icon size={size} aria-hidden="true" className={state === "running" ? styles.spin : undefined} />
    </span>
  );
}

export function StateBadge({ state, children }: { state: State; children?: string }) {
  const { icon: Icon, word, tone } = LOOKS[state];
  return (
    <span className={classes(styles.badge, tone)}>
      <Icon size={14} aria-hidden="true" className={state === "running" ? styles.spin : undefined} />
      {children ?? word}
    </span>
  );
}

const VERDICTS = {
  verified: { icon: ShieldCheck, word: "Verified", tone: styles.success },
  claimed: { icon: Shield, word: "Claimed", tone: styles.neutral },
  refuted: { icon: ShieldX, word: "Refuted", tone: styles.danger },
  inconclusive: { icon: ShieldAlert, word: "Inconclusive", tone: styles.attention },
};

/** The verdict of a verification, if there is one. */
export function VerdictBadge({ of }: { of: Pick<Verification, "verdict" | "waived"> | null | undefined }) {
  if (!of) return null;
  const { icon: Icon, word, tone } = of.verdict ? VERDICTS[of.verdict] : LOOKS.checking;
  return (
    <span className={classes(styles.badge, of.waived ? styles.neutral : tone)}>
      <Icon size={14} aria-hidden="true" />
      {of.waived ? `${word}, waived` : word}
    </span>
  );
}

const OUTCOMES = {
  success: CircleCheck,
  danger: CircleX,
  attention: CircleAlert,
  running: LoaderCircle,
  neutral: CircleDashed,
};

export type Tone = keyof typeof OUTCOMES;

export function OutcomeBadge({ tone, children }: { tone: Tone; children: string }) {
  const Icon = OUTCOMES[tone];
  return (
    <span className={classes(styles.badge, styles[tone])}>
      <Icon size={14} aria-hidden="true" />
      {children}
    </span>
  );
}
