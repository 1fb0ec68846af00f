/** A link to a task that does not say its project, as a notification's: finds the project and goes there. */
import { useQuery } from "@tanstack/react-query";
import { Redirect } from "wouter";
import { ApiError } from "../api/errors";
import { fetchTask } from "../api/tasks";
import type { Session } from "../api/types";
import { FailedPage, Loading } from "../ui/feedback";

/** Return the project of the task; of one that is nowhere the first, whose page then says so. */
async function findProject(session: Session, task: string): Promise<number | undefined> {
  for (const { id } of session.projects) {
    try {
      await fetchTask(id, task);
      return id;
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }
  return session.projects[0]?.id;
}

export function OpenTask({ session, task }: { session: Session; task: string }) {
  const found = useQuery({ queryKey: ["project of", task], queryFn: () => findProject(session, task) });
  if (found.isError)
    return (
      <FailedPage title="The task cannot be shown" error={found.error} onRetry={() => found.refetch()} />
    );
  if (found.isPending) return <Loading what="the task" />;
  return <Redirect to={`/projects/${found.data}/tasks/${task}${location.search}`} replace />;
}
