/** Tasks and runs: reads and writes. */
import { api, data } from "./client";
import { ofRun } from "./commands";
import type { paths } from "./schema";
import type { RunRequest, Task } from "./types";

const PROJECT = "/api/projects/{project_id}";
const TASKS = `${PROJECT}/tasks` as const;
const TASK = `${TASKS}/{task_id}` as const;
const RUN = `${TASK}/runs/{run_id}` as const;

export type TaskFilters = NonNullable<paths[typeof TASKS]["get"]["parameters"]["query"]>;

const inProject = (project: number) => ({ params: { path: { project_id: String(project) } } });
const ofTask = (project: number, task_id: string) => ({
  params: { path: { project_id: String(project), task_id } },
});

export async function fetchTasks(project: number, filters: TaskFilters, limit: number, offset: number) {
  const query = { ...filters, ordering: "-last_activity_at" as const, limit, offset };
  return data(await api.GET(TASKS, { params: { ...inProject(project).params, query } }));
}

export const fetchTask = async (project: number, task: string) =>
  data(await api.GET(TASK, ofTask(project, task)));

export const fetchRepositories = async (project: number) =>
  data(await api.GET(`${TASKS}/repositories`, inProject(project))).repositories;

export const fetchViewers = async (project: number) =>
  data(await api.GET(`${PROJECT}/viewers`, inProject(project))).results;

export type TaskChange = Partial<Pick<Task, "title" | "description" | "repository" | "acceptance">>;

export const createTask = async (project: number, body: TaskChange): Promise<Task> =>
  data(await api.POST(TASKS, { ...inProject(project), body: body as never }));

export const updateTask = async (project: number, task: string, body: TaskChange) =>
  data(await api.PATCH(TASK, { ...ofTask(project, task), body: body as never }));

export type BatchAction = "archive" | "unarchive" | "delete";
const MOST_IN_BATCH = 500;

/** Archive or delete tasks; return the ids of those that were not so already. */
export async function changeTasks(project: number, action: BatchAction, ids: string[]) {
  const changed = new Set<string>();
  for (let from = 0; from < ids.length; from += MOST_IN_BATCH) {
    const body = { action, ids: ids.slice(from, from + MOST_IN_BATCH) };
    const { results } = data(await api.POST(`${TASKS}/bulk`, { ...inProject(project), body }));
    for (const { id, result } of results) if (result === "changed") changed.add(id);
  }
  return changed;
}

export const fetchAgents = async (project: number) =>
  data(await api.GET(`${PROJECT}/agents`, inProject(project)));

export const fetchLimits = async (project: number) =>
  data(await api.GET(`${PROJECT}/limits`, inProject(project))).results;

/** The newest activity of the person's own tasks: they created or follow them. */
export async function fetchActivity(project: number) {
  const params = { ...inProject(project).params, query: { limit: 50 } };
  return data(await api.GET(`${PROJECT}/task_activity`, { params }));
}

/** Mark what has happened to tasks as seen, up to a time each. */
export async function markSeen(project: number, tasks: Pick<Task, "id" | "last_activity_at">[]) {
  const activities = tasks.map((task) => ({ task_id: task.id, seen_before: task.last_activity_at }));
  await api.POST(`${PROJECT}/task_activity/mark_read`, { ...inProject(project), body: { activities } });
}

/** Where files go to that the next run of a task shall have. */
export const stagedFiles = (project: number, task: string) =>
  `/api/projects/${project}/tasks/${task}/staged_artifacts`;

export const startRun = async (project: number, task: string, body: RunRequest) =>
  data(await api.POST(`${TASK}/run`, { ...ofTask(project, task), body }));

export async function fetchRuns(project: number, task: string) {
  const params = { ...ofTask(project, task).params, query: { limit: 100 } };
  return data(await api.GET(`${TASK}/runs`, { params }));
}

export const fetchRun = async (project: number, task: string, run: string) =>
  data(await api.GET(RUN, ofRun({ project, task, run })));

export const cancelRun = async (project: number, task: string, run: string, error_message?: string) => {
  const body = { status: "cancelled", error_message } as never;
  return data(await api.PATCH(RUN, { ...ofRun({ project, task, run }), body }));
};
