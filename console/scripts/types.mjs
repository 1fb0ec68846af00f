// Writes src/api/schema.d.ts, the types of the API, from its description. Only `tsc` and editors read it.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import openapiTS, { astToString } from "openapi-typescript";

const root = join(import.meta.dirname, "../..");
const target = join(import.meta.dirname, "../src/api/schema.d.ts");
const python = join(root, ".venv/bin/python");
const described = execFileSync(python, ["-m", "app.cli", "openapi"], { cwd: root, maxBuffer: 2 ** 26 });
const text = astToString(await openapiTS(JSON.parse(described)));

// Left alone where it is current, or editors would read it again.
if (!existsSync(target) || readFileSync(target, "utf8") !== text) writeFileSync(target, text);
