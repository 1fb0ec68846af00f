// @vitest-environment jsdom
import { fireEvent, render } from "@testing-library/react";
import { expect, it } from "vitest";
import { OfRun } from "./GivenFile";
import { UserMessage } from "./TranscriptRow";

HTMLDialogElement.prototype.showModal ??= () => {};

it("shows the output of a check as code, whatever its lines look like", () => {
  const text = "Check tests: make\noutput:\n| FAIL\n| ------\n| ```\n| # no\n\nCorrect the cause.";
  const item = { kind: "user" as const, id: "u", at: "", text, files: [], receipt: null };
  const page = render(<UserMessage item={item} />).container;
  expect(page.querySelector("pre")?.textContent?.trim()).toBe("| FAIL\n| ------\n| ```\n| # no");
  expect(page.querySelector("table, h1")).toBeNull();
});

it("opens files that were given: a picture in a dialog, others in a tab, and none that could be another one", () => {
  const given = (name: string, content_type: string, storage_path: string) => ({
    ...{ id: storage_path, name, content_type, storage_path, type: "user_attachment" },
  });
  const artifacts = [
    given("shot.png", "image/png", "1/shot.png"),
    given("notes.txt", "text/plain", "1/notes.txt"),
    ...[given("twice.txt", "text/plain", "1/twice.txt"), given("twice.txt", "text/plain", "2/twice.txt")],
    { ...given("output.txt", "text/plain", "1/output.txt"), type: "output" },
  ] as never;
  const files = ["shot.png", "notes.txt", "twice.txt", "output.txt"];
  const item = { kind: "user" as const, id: "u", at: "", text: "", files, receipt: null };
  const page = render(
    <OfRun.Provider value={{ run: { artifacts }, runRef: { project: 1, task: "t", run: "r" } }}>
      <UserMessage item={item} />
    </OfRun.Provider>,
  );
  const at = "/api/projects/1/tasks/t/runs/r/artifacts/download/?storage_path=1%2F";
  expect(page.getAllByRole("link").map((link) => link.getAttribute("href"))).toEqual([`${at}notes.txt`]);
  fireEvent.click(page.getByRole("button", { name: "shot.png" }));
  expect(page.getByAltText("shot.png").getAttribute("src")).toBe(`${at}shot.png`);
  for (const name of files.slice(2)) expect(page.getByText(name).closest("a, button")).toBeNull();
});
