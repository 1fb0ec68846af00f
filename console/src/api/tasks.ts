/** Tasks and runs: reads and writes. */
import { api, data } from "./client";
import { ofRun } from "./commands";
import type { Acceptance, Run, RunStatus, Task } from "./types";

export interface TaskFilters {
  search?: string;
  status?: RunStatus;
  repository?: string;
  created_by?: number;
  archived?: "true" | "all";
}

export interface TaskPage {
  count: number;
  results: Task[];
}

export interface RunList {
  /** How many runs the task has; `results` are the newest of them. */
  count: number;
  results: Run[];
}

const inProject = (project: number) => ({ params: { path: { project_id: String(project) } } });
const ofTask = (project: number, task_id: string) => ({
  params: { path: { project_id: String(project), task_id } },
});
export async function fetchTasks(project: number, filters: TaskFilters, limit: number, offset: number) {
  const { params } = inProject(project);
  const query = { ...filters, ordering: "-last_activity_at" as const, limit, offset };
  return data(
    await api.GET("/api/projects/{project_id}/tasks", { params: { ...params, query } }),
  ) as TaskPage;
}

export async function fetchTask(project: number, task: string): Promise<Task> {
  return data(await api.GET("/api/projects/{project_id}/tasks/{task_id}", ofTask(project, task)));
}

export async function fetchRepositories(project: number): Promise<string[]> {
  return data(await api.GET("/api/projects/{project_id}/tasks/repositories", inProject(project)))
    .repositories;
}

export async function fetchViewers(project: number) {
  return data(await api.GET("/api/projects/{project_id}/viewers", inProject(project))).results;
}

export interface TaskChange {
  title?: string;
  description?: string;
  repository?: string;
  acceptance?: Acceptance | null;
}

export async function createTask(project: number, body: TaskChange) {
  const asked = { ...inProject(project), body: body as never };
  return data(await api.POST("/api/projects/{project_id}/tasks", asked)) as Task;
}

export async function updateTask(project: number, task: string, body: TaskChange) {
  const asked = { ...ofTask(project, task), body: body as never };
  return data(await api.PATCH("/api/projects/{project_id}/tasks/{task_id}", asked)) as Task;
}

export type BatchAction = "archive" | "unarchive" | "delete";
const MOST_IN_BATCH = 500;

/** Archive or delete tasks; return the ids of those that were not so already. */
export async function changeTasks(project: number, action: BatchAction, ids: string[]) {
  const changed = new Set<string>();
  for (let from = 0; from < ids.length; from += MOST_IN_BATCH) {
    const body = { action, ids: ids.slice(from, from + MOST_IN_BATCH) };
    const asked = { ...inProject(project), body };
    const { results } = data(await api.POST("/api/projects/{project_id}/tasks/bulk", asked));
    for (const { id, result } of results) if (result === "changed") changed.add(id);
  }
  return changed;
}

export async function fetchAgents(project: number) {
  return data(await api.GET("/api/projects/{project_id}/agents", inProject(project)));
}

export async function fetchLimits(project: number) {
  return data(await api.GET("/api/projects/{project_id}/limits", inProject(project))).results;
}

/** The newest activity of the person's own tasks: they created or follow them. */
export async function fetchActivity(project: number) {
  const { params } = inProject(project);
  const path = "/api/projects/{project_id}/task_activity";
  return data(await api.GET(path, { params: { ...params, query: { limit: 50 } } }));
}

/** Mark what has happened to tasks as seen, up to a time each. */
export async function markSeen(project: number, tasks: Pick<Task, "id" | "last_activity_at">[]) {
  const activities = tasks.map(({ id, last_activity_at }) => ({
    task_id: id,
    seen_before: last_activity_at,
  }));
  const asked = { ...inProject(project), body: { activities } };
  await api.POST("/api/projects/{project_id}/task_activity/mark_read", asked);
}

/** Where files go to that the next run of a task shall have. */
export const stagedFiles = (project: number, task: string) =>
  `/api/projects/${project}/tasks/${task}/staged_artifacts`;

export interface RunRequest {
  mode?: "interactive" | "background";
  branch?: string;
  runtime_adapter?: string;
  model?: string;
  reasoning_effort?: string;
  resume_from_run_id?: string;
  pending_user_message?: string;
  pending_user_artifact_ids?: string[];
}

export async function startRun(project: number, task: string, body: RunRequest): Promise<Task> {
  const asked = { ...ofTask(project, task), body: body as never };
  return data(await api.POST("/api/projects/{project_id}/tasks/{task_id}/run", asked)) as Task;
}

export async function fetchRuns(project: number, task: string): Promise<RunList> {
  const { params } = ofTask(project, task);
  const query = { limit: 100 };
  return data(
    await api.GET("/api/projects/{project_id}/tasks/{task_id}/runs", { params: { ...params, query } }),
  );
}

export async function fetchRun(project: number, task: string, run: string): Promise<Run> {
  const asked = ofRun({ project, task, run });
  return data(await api.GET("/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}", asked));
}

export async function cancelRun(project: number, task: string, run: string): Promise<Run> {
  const asked = { ...ofRun({ project, task, run }), body: { status: "cancelled" } as never };
  return data(await api.PATCH("/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}", asked)) as Run;
}
