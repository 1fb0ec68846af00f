/** Sign-ins of terminals by a code. */
import { api, data } from "./client";

const at = (code: string) => ({ params: { path: { user_code: code } } });

export const fetchTerminal = async (code: string) =>
  data(await api.GET("/api/cli/login/{user_code}", at(code)));

export const approveTerminal = async (code: string, project: number) =>
  void (await api.POST("/api/cli/login/{user_code}/approve", { ...at(code), body: { project_id: project } }));

export const denyTerminal = async (code: string) =>
  void (await api.POST("/api/cli/login/{user_code}/deny", at(code)));
