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

const path = (project_id: number) => ({ project_id: String(project_id) });

export async function fetchTasks(project: number, filters: TaskFilters, limit: number, offset: number) {
  const query = { ...filters, limit, offset };
  const answer = await api.GET("/api/projects/{project_id}/tasks", {
    params: { path: path(project), query },
  });
  return data(answer) as TaskPage;
}

export async function fetchTask(project: number, task_id: string): Promise<Task> {
  const params = { path: { ...path(project), task_id } };
  return data(await api.GET("/api/projects/{project_id}/tasks/{task_id}", { params }));
}

export async function fetchRepositories(project: number): Promise<string[]> {
  const answer = await api.GET("/api/projects/{project_id}/tasks/repositories", {
    params: { path: path(project) },
  });
  return data(answer).repositories;
}

export async function fetchViewers(project: number) {
  const answer = await api.GET("/api/projects/{project_id}/viewers", { params: { path: path(project) } });
  return data(answer).results;
}

export async function createTask(
  project: number,
  body: { description: string; title?: string; repository?: string },
) {
  const params = { path: path(project) };
  return data(await api.POST("/api/projects/{project_id}/tasks", { params, body: body as never })) as Task;
}

export async function updateTask(
  project: number,
  task_id: string,
  body: { title?: string; archived?: boolean },
) {
  const params = { path: { ...path(project), task_id } };
  const answer = await api.PATCH("/api/projects/{project_id}/tasks/{task_id}", {
    params,
    body: body as never,
  });
  return data(answer) as Task;
}

export async function deleteTask(project: number, task_id: string): Promise<void> {
  await api.DELETE("/api/projects/{project_id}/tasks/{task_id}", {
    params: { path: { ...path(project), task_id } },
  });
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

export async function startRun(project: number, task_id: string, body: RunRequest): Promise<Task> {
  const params = { path: { ...path(project), task_id } };
  const answer = await api.POST("/api/projects/{project_id}/tasks/{task_id}/run", {
    params,
    body: body as never,
  });
  return data(answer) as Task;
}

export async function fetchRuns(project: number, task_id: string): Promise<RunList> {
  const answer = await api.GET("/api/projects/{project_id}/tasks/{task_id}/runs", {
    params: { path: { ...path(project), task_id }, query: { limit: 100 } },
  });
  return data(answer);
}

export async function fetchRun(project: number, task_id: string, run_id: string): Promise<Run> {
  const params = { path: { ...path(project), task_id, run_id } };
  return data(await api.GET("/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}", { params }));
}

export async function cancelRun(project: number, task_id: string, run_id: string): Promise<Run> {
  const answer = await api.PATCH("/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}", {
    params: { path: { ...path(project), task_id, run_id } },
    body: { status: "cancelled" } as never,
  });
  return data(answer) as Run;
}
