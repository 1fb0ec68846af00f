/** What an answer means: how the service sees the question, what each option does, and what happens without one. */
import type { InboxRow } from "../../api/types";
import { clockTime } from "../../ui/time";
import { isChoice, type Option } from "./question";

const EFFECTS: Record<string, string> = {
  allow_once: "allows this once; the agent asks again the next time.",
  allow_always: "allows this and what is like it, without further questions.",
  reject_once: "refuses this once; the agent goes on without it.",
  reject_always: "refuses this and what is like it, without further questions.",
  send_back: "starts a run that goes on from the work, and is told what its checks show.",
  waive: "accepts the work. The verdict stays; everybody sees your name and the reason.",
};

const RISKS: Record<string, string> = {
  high: "High: by the rules of the service this can destroy something, or give away a secret.",
  normal: "Normal: it can change files or run programs in the run's workspace.",
  low: "Low: it reads, searches or thinks.",
};

const KINDS: Record<string, string> = {
  permission: "The agent asks before it goes on, and waits for your answer.",
  form: "The agent wants to know something, and waits for your answer.",
  url: "The agent wants you to open a page. The page learns your address; the agent learns only your answer.",
  verdict: "The run is over, and its checks do not prove its work.",
};

const OTHERS =
  "The transcript has all that the agent sent; an agent may cut its request. Other people who may answer see the same question; the first answer counts.";

/** An option of a choice, as "maybe", allows nothing. */
const effectOf = (option: Option, options: Option[]): string =>
  option.kind === "allow_once" && isChoice(options)
    ? "is what the agent gets as your answer."
    : (EFFECTS[option.kind] ?? "is an answer of the agent's own.");

export function Explanation({ question }: { question: InboxRow }) {
  const { kind, options, expires_at: end } = question;
  const risk = kind === "permission" && RISKS[question.risk];
  const silence = end
    ? `counts as refused after ${clockTime(end)}.`
    : kind === "verdict"
      ? "leaves the work as it is."
      : "keeps the agent waiting.";
  const parts = [
    ["kind", "What happens", `${KINDS[kind]} ${OTHERS}`],
    ...(risk ? [["risk", "Risk", risk]] : []),
    ...options.map((option) => [`option ${option.id}`, option.name, effectOf(option, options)]),
    ["silence", "No answer", silence],
  ];
  return (
    <dl className="column small pairs" aria-label="What an answer means">
      {parts.map(([key, title, text]) => (
        <div key={key}>
          <dt className="strong">{title}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}
