/** The state of a run, and the verdict about its work, as an icon and a word; colour only repeats what they say. */
import * as icons from "lucide-react";
import type { Verification } from "../api/types";
import { classes } from "./classes";

interface Look {
  icon: icons.LucideIcon;
  word: string;
  tone: Tone;
  title?: string | undefined;
}

const LOOKS = {
  draft: { icon: icons.CircleDashed, word: "Draft", tone: "neutral" },
  not_started: { icon: icons.CircleDot, word: "Not started", tone: "neutral" },
  queued: { icon: icons.Clock3, word: "Queued", tone: "neutral" },
  running: { icon: icons.LoaderCircle, word: "Running", tone: "running" },
  checking: { icon: icons.ScanSearch, word: "Checking", tone: "running" },
  question: { icon: icons.CircleHelp, word: "Asks you", tone: "attention" },
  message: { icon: icons.MessageCircle, word: "Waits for you", tone: "attention" },
  // Green is for what was verified.
  completed: { icon: icons.CircleCheck, word: "Completed", tone: "neutral" },
  refuted: { icon: icons.ShieldX, word: "Refuted", tone: "danger" },
  inconclusive: { icon: icons.ShieldAlert, word: "Inconclusive", tone: "attention" },
  failed: { icon: icons.CircleX, word: "Failed", tone: "danger" },
  cancelled: { icon: icons.Ban, word: "Cancelled", tone: "neutral" },
} satisfies Record<string, Look>;

export type State = keyof typeof LOOKS;

export function StateIcon({ state, size = 16 }: { state: State; size?: number }) {
  const { icon: Icon, word, tone } = LOOKS[state];
  return (
    <span className={classes("row inline fixed", tone)} role="img" aria-label={word} title={word}>
      <Icon size={size} className={state === "running" ? "spin" : undefined} />
    </span>
  );
}

function Badge({ icon: Icon, word, tone, title, isSpinning }: Look & { isSpinning?: boolean }) {
  return (
    <span className={classes("row inline tight fixed small strong", tone)} title={title}>
      <Icon size={14} className={isSpinning ? "spin" : ""} />
      {word}
    </span>
  );
}

/** Nothing where the badge of the verdict says it. */
export const StateBadge = ({ state }: { state: State }) =>
  state !== "refuted" &&
  state !== "inconclusive" && <Badge {...LOOKS[state]} isSpinning={state === "running"} />;

const VERDICTS: Record<string, Look> = {
  verified: { icon: icons.ShieldCheck, word: "Verified", tone: "success" },
  // Tests that say something else now prove less.
  tests_changed: { icon: icons.ShieldAlert, word: "Verified · tests changed", tone: "attention" },
  claimed: { icon: icons.Shield, word: "Claimed", tone: "neutral", title: "Nothing was checked" },
  refuted: LOOKS.refuted,
  inconclusive: LOOKS.inconclusive,
};

type Judged = Partial<Verification> & Pick<Verification, "verdict" | "waived">;

/** Which checks prove the work. */
export const passedText = ({ verdict, checks }: Judged): string | undefined => {
  const proofs = checks?.filter(({ gate, status }) => gate !== "informational" && status === "passed") ?? [];
  return verdict === "verified" && proofs[0] ? `Passed: ${proofs.map(({ id }) => id).join(", ")}` : undefined;
};

/** The verdict of a verification, if there is one. */
export function VerdictBadge({ of }: { of: Judged | null | undefined }) {
  if (!of) return null;
  const name = of.verdict === "verified" && of.changed_tests?.length ? "tests_changed" : of.verdict;
  const look: Look = { title: passedText(of), ...((name && VERDICTS[name]) || LOOKS.checking) };
  return <Badge {...look} {...(of.waived && { word: `${look.word}, waived`, tone: "neutral" })} />;
}

const OUTCOMES = {
  success: icons.CircleCheck,
  danger: icons.CircleX,
  attention: icons.CircleAlert,
  running: icons.LoaderCircle,
  neutral: icons.CircleDashed,
};

export type Tone = keyof typeof OUTCOMES;

export const OutcomeBadge = ({ tone, children }: { tone: Tone; children: string }) => (
  <Badge icon={OUTCOMES[tone]} tone={tone} word={children} />
);
