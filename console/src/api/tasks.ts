/** Tasks and runs: reads and writes. */
import { api, data } from "./client";
import type { Run, RunStatus, Task } from "./types";

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
const ofRun = (project: number, task_id: string, run_id: string) => ({
  params: { path: { project_id: String(project), task_id, run_id } },
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

interface TaskChange {
  title?: string;
  description?: string;
  repository?: string;
  archived?: boolean;
}

export async function createTask(project: number, body: TaskChange) {
  const asked = { ...inProject(project), body: body as never };
  return data(await api.POST("/api/projects/{project_id}/tasks", asked)) as Task;
}

export async function updateTask(project: number, task: string, body: TaskChange) {
  const asked = { ...ofTask(project, task), body: body as never };
  return data(await api.PATCH("/api/projects/{project_id}/tasks/{task_id}", asked)) as Task;
}

/** Where files go to that the next run of a task shall have. */
export const stagedFiles = (project: number, task: string) =>
  `/api/projects/${project}/tasks/${task}/staged_artifacts`;

export interface RunRequest {
  mode?: "interactive" | "background";
  branch?: string;
  runtime_adapter?: string;
  model?: string;
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
  const asked = ofRun(project, task, run);
  return data(await api.GET("/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}", asked));
}

export async function cancelRun(project: number, task: string, run: string): Promise<Run> {
  const asked = { ...ofRun(project, task, run), body: { status: "cancelled" } as never };
  return data(await api.PATCH("/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}", asked)) as Run;
}
