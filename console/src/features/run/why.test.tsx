// @vitest-environment jsdom
import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import type { Run, Task } from "../../api/types";
import { Why } from "./ChecksPane";

it("names the checks that were not run, since nothing was changed", () => {
  const lists = { checks: [], waivers: [], changed_tests: [], protected_changed: [], found: [] };
  const reasons = [{ code: "nothing_changed", check: null, detail: "" }];
  const shown = { ...lists, verdict: "claimed", reasons, stopped: null, ci: null };
  const task = { acceptance: { checks: [{ id: "lint", shell: "make lint" }] } } as unknown as Task;
  const run = { state: {} } as unknown as Run;
  const page = render(<Why {...{ task, run }} shown={shown as never} isRepaired={false} />);
  expect(page.container.textContent).toContain("lint: not run, since the run changed nothing.");
});
