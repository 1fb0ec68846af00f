/** A link to a task that does not say its project, as a notification's: finds the project and goes there. */
import { useQuery } from "@tanstack/react-query";
import { Redirect } from "wouter";
import { fetchTask } from "../api/tasks";
import type { Session } from "../api/types";
import { Failure, Loading } from "../ui/feedback";

async function findProject(session: Session, task: string): Promise<number> {
  let failure: unknown = null;
  for (const { id } of session.projects) {
    try {
      await fetchTask(id, task);
      return id;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

export function OpenTask({ session, task }: { session: Session; task: string }) {
  const found = useQuery({ queryKey: ["project of", task], queryFn: () => findProject(session, task) });
  if (found.isError) return <Failure error={found.error} />;
  if (found.isPending) return <Loading what="the task" />;
  return <Redirect to={`/projects/${found.data}/tasks/${task}${location.search}`} replace />;
}
