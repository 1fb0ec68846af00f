// Prints a catalog of agents for TASKBEACON_AGENT_CATALOG: `actor` sends the one request that its task's text spells out.
import { execFileSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const script = join(root, "tests/agents/scripted_agent.py");
const printed = execFileSync(
  join(root, ".venv/bin/python"),
  [
    "-c",
    "import json; from app.processes.own_program import OWN_PROGRAM; print(json.dumps([str(p) for p in OWN_PROGRAM]))",
  ],
  { cwd: root, encoding: "utf8" },
);
const actor = {
  command: [join(root, ".venv/bin/python"), "-I", "-S", script, "request"],
  install: "It is part of the tests.",
  readable: [...JSON.parse(printed), join(root, "tests/agents")],
};
process.stdout.write(JSON.stringify({ adapters: { actor } }));
