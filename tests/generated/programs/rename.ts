// Rename a task and an environment, switch off one kind of push, and create a run, with the generated types.
// Arguments: base URL, key, project id, task id, environment id.

import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };

const [baseUrl, key, project_id, task_id, environment_id] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

function must<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const task = { params: { path: { project_id, task_id } }, body: { title: "Renamed" } };
const patched: string = must(await client.PATCH("/api/projects/{project_id}/tasks/{task_id}", task)).title;
const put: string = must(await client.PUT("/api/projects/{project_id}/tasks/{task_id}", task)).title;

const environment: string = must(
  await client.PATCH("/api/projects/{project_id}/sandbox_environments/{environment_id}", {
    params: { path: { project_id, environment_id } },
    body: { name: "Renamed" },
  }),
).name;

const completed: boolean = must(
  await client.PATCH("/api/users/@me/notification_preferences", { body: { completed: false } }),
).completed;

const run: string = must(
  await client.POST("/api/projects/{project_id}/tasks/{task_id}/runs", {
    params: { path: { project_id, task_id } },
    body: {
      imported_mcp_servers: [
        { type: "http", name: "issues", url: "https://93.184.216.34/mcp", headers: { Authorization: "Bearer secret" } },
      ],
    },
  }),
).id;

if (!run || patched !== "Renamed" || put !== "Renamed" || environment !== "Renamed" || completed) {
  throw new Error("The answers do not show the changes.");
}
