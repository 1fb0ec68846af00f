/** The project that the page shows, its stream, and queries that the stream keeps fresh. */
import { type Query, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { ApiError } from "../../api/errors";
import { ProjectStream } from "../../api/stream";
import type { Project, Session, UserBasic } from "../../api/types";
import { closeNotices } from "./notices";
import { renew } from "./renewed";

export const nameOf = (user: UserBasic): string =>
  [user.first_name, user.last_name].filter(Boolean).join(" ") || user.email;

interface ProjectContext {
  project: Project;
  session: Session;
  /** Null before the stream is opened, which is for the length of one effect. */
  stream: ProjectStream | null;
  isOffline: boolean;
  href: (path: string) => string;
}

const Context = createContext<ProjectContext | null>(null);

export function useProject(): ProjectContext {
  const context = useContext(Context);
  if (!context) throw new Error("There is no project around this.");
  return context;
}

// Many events of one run come together; one answer shows them all.
const REFRESH_MS = 400;
/** Without pushes, too, a question that is closed must not ask on. */
const CLOSED = new Set(["question.answered", "question.expired", "question.withdrawn"]);

/** What is missing is not asked for again: its page would vanish for the time of an answer. */
const isThere = ({ state: { error } }: Query) => !(error instanceof ApiError && error.status === 404);

interface Props extends Pick<ProjectContext, "project" | "session"> {
  children: ReactNode;
}

export function ProjectProvider({ project, session, children }: Props) {
  const queries = useQueryClient();
  const [stream, setStream] = useState<ProjectStream | null>(null);
  const [isOffline, setOffline] = useState(false);

  useEffect(() => {
    const changed = new Set<string>();
    let isAllOld = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = () => {
      timer = undefined;
      const keys = isAllOld ? [["task"]] : [...changed].map((task) => ["task", task]);
      isAllOld = false;
      changed.clear();
      for (const queryKey of [["tasks", project.id], ["inbox"], ...keys])
        void renew(queries, { queryKey, predicate: isThere });
    };
    const opened = new ProjectStream(project.id, {
      onLedgerGap: () => void queries.invalidateQueries(),
      onOffline: setOffline,
      onRefused: () => void queries.invalidateQueries({ queryKey: ["session"] }, { cancelRefetch: false }),
    });
    opened.onceBegun(() => {
      isAllOld = true;
      timer ??= setTimeout(refresh, REFRESH_MS);
    });
    opened.listen((event) => {
      if (event.data.task_id) changed.add(event.data.task_id);
      if (CLOSED.has(event.type) && event.data.question_id)
        void closeNotices({ question: event.data.question_id }).catch(() => {});
      timer ??= setTimeout(refresh, REFRESH_MS);
    });
    setStream(opened);
    return () => {
      clearTimeout(timer);
      opened.close();
    };
  }, [project.id, queries]);

  const context = useMemo(() => {
    const href = (path: string) => `~/console/projects/${project.id}${path}`;
    return { project, session, stream, isOffline, href };
  }, [project, session, stream, isOffline]);
  return <Context.Provider value={context}>{children}</Context.Provider>;
}
