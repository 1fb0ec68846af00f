// @vitest-environment jsdom
import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import type { Task } from "../../api/types";
import { TaskRow } from "./TaskRow";

const rowOf = (changes: object, more = {}) => {
  const run = { status: "completed", state: { changes }, output: {}, verification: null, ...more };
  const task = { id: "t", slug: "T-1", title: "A task", repository: null, latest_run: run };
  const { container } = render(
    <TaskRow
      task={{ ...task, last_activity_at: "2026-01-01T00:00:00Z" } as unknown as Task}
      {...{ href: "/", isUnseen: false, viewers: undefined, isSelected: false, onToggle: () => {} }}
    />,
  );
  return container;
};

it("counts files in a row, and no lines where only modes have changed", () => {
  expect(rowOf({ files: 1, additions: 2, deletions: 0 }).textContent).toContain("+2 −01 file");
  const text = rowOf({ files: 1, additions: 0, deletions: 0 }).textContent;
  expect(text).toContain("1 file");
  expect(text).not.toMatch(/[+−]0/);
});

it("names the state of a run that has failed as it names a verdict, with an icon", () => {
  const row = rowOf({}, { status: "failed", error_message: "No repository." });
  const word = [...row.querySelectorAll("span")].findLast((one) => one.textContent === "Failed");
  expect(word?.querySelector("svg")).not.toBeNull();
});
