/** Answers a question once, wherever it stands; what another person answered first is said as that. */
import { useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { answerPermission, type RunRef } from "../../api/commands";
import { ApiError } from "../../api/errors";
import { answerQuestion } from "../../api/inbox";
import type { Answer } from "../../api/types";
import { useAction } from "../../ui/action";
import { say, sayError } from "../../ui/feedback";
import { answeredText, type Question } from "./question";

export function useAnswer(question: Question, ref: RunRef) {
  const queries = useQueryClient();
  const key = useRef(crypto.randomUUID());
  return useAction({
    mutationFn: async (answer: Answer) => {
      if (question.row) {
        const { id, digest, project_id } = question.row;
        await answerQuestion(project_id, id, { digest, ...answer }, key.current);
      } else if (question.requestId && "option_id" in answer) {
        await answerPermission(ref, question.requestId, answer.option_id);
      }
    },
    onError: (error) => {
      // Another answer than before must not get the stored response of the first.
      key.current = crypto.randomUUID();
      const elsewhere = elsewhereText(error, question.options);
      if (elsewhere) say(elsewhere);
      else sayError(error);
    },
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ["inbox"] });
      void queries.invalidateQueries({ queryKey: ["task", ref.task] });
    },
  });
}

function elsewhereText(error: unknown, options: Question["options"]): string | null {
  if (!(error instanceof ApiError)) return null;
  if (error.code === "already_answered") return answeredText(error.extra, options);
  if (error.code === "question_closed") return "The question is closed: the agent does not wait any more.";
  if (error.code === "question_changed") return "The question has changed meanwhile. Read it again.";
  return null;
}
