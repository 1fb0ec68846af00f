/** Answers a question once, wherever it stands; what another person answered first is said as that. */
import { useRef } from "react";
import { ApiError } from "../../api/errors";
import { answerQuestion } from "../../api/inbox";
import type { Answer, InboxRow } from "../../api/types";
import { say, sayError } from "../../ui/feedback";
import { useAction } from "../../ui/unmeant";
import { answeredText } from "./question";

/** `onRun` is called with the run that the answer has started. */
export function useAnswer(question: InboxRow, onRun?: (run: string) => void) {
  const { id, digest, kind, project_id, task } = question;
  const key = useRef(crypto.randomUUID());
  return useAction({
    mutationFn: (answer: Answer) => answerQuestion(project_id, id, { digest, ...answer }, key.current),
    onSuccess: ({ run_id }, answer) => {
      const done = "option_id" in answer && answer.option_id === "waive" ? "Waived" : "Sent back";
      if (kind === "verdict") say(`${done}: ${task.title || task.slug}.`);
      if (run_id) onRun?.(run_id);
    },
    onError: (error) => {
      // Another answer than before must not get the stored response of the first.
      key.current = crypto.randomUUID();
      const elsewhere = elsewhereText(error, question.options);
      if (elsewhere) say(elsewhere);
      else sayError(error);
    },
    refreshes: [["inbox"], ["task", task.id]],
  });
}

function elsewhereText(error: unknown, options: InboxRow["options"]): string | null {
  if (!(error instanceof ApiError)) return null;
  if (error.code === "already_answered") return answeredText(error.extra, options);
  if (error.code === "question_closed") return "The question is closed: the agent does not wait any more.";
  if (error.code === "question_changed") return "The question has changed meanwhile. Read it again.";
  return null;
}
