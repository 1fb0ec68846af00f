/** The questions of a run, open and closed: the log has what was asked, and not who answered. */
import { useQuery } from "@tanstack/react-query";
import { createContext } from "react";
import type { RunRef } from "../../api/commands";
import { fetchQuestions } from "../../api/inbox";
import type { InboxRow } from "../../api/types";

/** Those of the run whose transcript is shown; undefined as long as they are not known. */
export const RunQuestions = createContext<readonly InboxRow[] | undefined>(undefined);

export const useRunQuestions = (ref: RunRef) =>
  useQuery({ queryKey: ["task", ref.task, "questions", ref.run], queryFn: () => fetchQuestions(ref) }).data;

export const isAsking = ({ status, kind }: InboxRow): boolean => status === "open" && kind !== "message";
