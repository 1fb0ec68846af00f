// @vitest-environment jsdom
import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import type { InboxRow, Task } from "../../api/types";
import { Question } from "./batch";

// jsdom shows no modal dialogs.
HTMLDialogElement.prototype.showModal ??= () => {};
HTMLDialogElement.prototype.close ??= () => {};

it("counts the questions, verdicts and messages of the tasks to archive each as what they are", () => {
  const kinds = [
    "permission",
    "form",
    "permission",
    "permission",
    "verdict",
    "verdict",
    "verdict",
    "message",
  ];
  const tasks = kinds.map((kind, at) => ({
    id: `${at}`,
    latest_run: { status: kind === "verdict" ? "completed" : "in_progress", state: {} },
  }));
  const needs = kinds.map((kind, at) => ({ kind, title: "Why?", task: tasks[at], run: { id: "r" } }));
  const leftOut = "1 draft comment is not sent.";
  const batch = { action: "archive" as const, tasks: tasks as unknown as Task[], leftOut };
  const shown = <Question batch={batch} needs={needs as unknown as InboxRow[]} onAnswer={() => {}} />;
  const { textContent } = render(shown).container;
  expect(textContent).toContain("1 draft comment is not sent.");
  expect(textContent).toContain("5 of them have a live run.");
  expect(textContent).toContain("4 questions, 3 verdicts to judge, 1 agent waits for a message.");
});

it.each([
  ["archive", true],
  ["delete", false],
] as const)(
  "names the task whose work is to be judged, and the archive only where one is meant: %s",
  (action, is) => {
    const task = { id: "t", title: "Fix it", latest_run: { status: "completed", state: {} } };
    const needs = [{ kind: "verdict", title: "1 check fails", task, run: { id: "r" } }];
    const batch = { action, tasks: [task] as unknown as Task[] };
    const shown = <Question batch={batch} needs={needs as unknown as InboxRow[]} onAnswer={() => {}} />;
    const { textContent } = render(shown).container;
    expect(textContent).toContain("Fix it waits for your answer: “1 check fails”.");
    expect(textContent?.includes("asks for no verdict again")).toBe(is);
  },
);
