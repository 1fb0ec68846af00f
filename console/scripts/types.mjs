// Writes src/api/schema.d.ts from the description of the API; with --check, fails if it would change.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import openapiTS, { astToString } from "openapi-typescript";

const root = join(import.meta.dirname, "../..");
const target = join(import.meta.dirname, "../src/api/schema.d.ts");
const described = process.env.TASKBEACON_OPENAPI
  ? readFileSync(process.env.TASKBEACON_OPENAPI, "utf8")
  : execFileSync(join(root, ".venv/bin/taskbeacon"), ["openapi"], { maxBuffer: 2 ** 26, encoding: "utf8" });
const text = astToString(await openapiTS(JSON.parse(described)));

if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== text) {
    console.error("src/api/schema.d.ts is not what the API says: run `npm run types`.");
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
