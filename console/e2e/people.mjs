// Other people than the one of the stack.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { program, settings } from "./browser.mjs";

async function admin(...words) {
  const env = { ...process.env, ...settings };
  const { stdout: printed } = await promisify(execFile)(program, ["admin", ...words], { env });
  return JSON.parse(printed);
}

/** Make another member of the project; return their key. */
export async function newMember(name) {
  const email = `${name.toLowerCase()}-${Date.now()}@example.com`;
  const { id } = await admin("create-user", "--email", email, "--first-name", name, "--project", "1");
  const { value } = await admin("create-key", "--user", String(id), "--scope", "*", "--label", name);
  return value;
}
