// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, within } from "@testing-library/react";
import { beforeAll, expect, it } from "vitest";
import type { Run, Task } from "../../api/types";
import { changesQuery } from "../changes/useReview";
import { End, TurnEnd } from "./End";

const PATCH = "@@ -2 +2 @@\n-two\n+zwei\n";

const runOf = (id: string, more: object) =>
  ({
    ...{ id, status: "completed", error_message: null, output: {}, verification: null, stage: null },
    ...{ artifacts: [{ name: "changes.patch", type: "output", storage_path: "p" }], state: {}, ...more },
  }) as unknown as Run;

const first = runOf("one", { output: { head_branch: "notes" } });
const comment = (id: string, line: number, message_id: string | null) => ({
  ...{
    id,
    path: "x",
    side: "new",
    start_line: line,
    line,
    hash: null,
    text: id,
    created_at: null,
    message_id,
  },
});

const nothing = () => {};

function shown(more: object, end?: ((run: Run) => React.ReactElement) | null, latest?: Run) {
  const run = runOf("two", more);
  const runRef = { project: 1, task: "t", run: "two" };
  const queries = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
  const asked = [comment("a", 2, "run:two"), comment("b", 9, "run:two")];
  const earlier = [{ run_id: "one", sent_by: { id: 1 }, comments: asked }];
  queries.setQueryData(["asked", "two", "onea", "oneb"], [[], []]);
  queries.setQueryData(changesQuery(queries, runRef, "start").queryKey, {
    files: [{ path: "x", old_path: null, patch: PATCH }],
  });
  queries.setQueryData(["review", "two"], {
    ...{ version: 1, viewed: [], comments: [comment("c", 1, null), comment("d", 1, "m")], earlier },
  });
  const task = {
    ...{ id: "t", repository: "acme/notes", json_schema: null, archived: false, latest_run: latest ?? run },
  } as unknown as Task;
  const page = (
    <QueryClientProvider client={queries}>
      {end?.(run) ?? (
        <End
          {...{ task, run, runs: [run, first], runRef, unasked: 0 }}
          actions={{} as never}
          onWrite={nothing}
          onReview={nothing}
        />
      )}
    </QueryClientProvider>
  );
  return render(page).container;
}

beforeAll(() => {
  window.matchMedia ??= () => ({ matches: true, addEventListener() {}, removeEventListener() {} }) as never;
});

const CONTINUES = { resume_from_run_id: "one" };
const waysOf = (end: Element) =>
  [...end.querySelectorAll("details code, details p")].map((one) => one.textContent);
const NEEDS = "Only this run: needs the branch as the run before left it.";

it.each([
  ["completed", { head_branch: "notes" }],
  ["failed", {}],
])("names the branch before the patch of a run that continues another and is %s", (status, output) => {
  const ways = ["git fetch origin notes && git switch notes", NEEDS, "taskbeacon run apply two"];
  expect(waysOf(shown({ status, output, state: CONTINUES }))).toEqual(ways);
});

it("says of no other run's patch that it needs a branch", () => {
  expect(waysOf(shown({}))).toEqual(["taskbeacon run apply two"]);
});

it("names no command for an earlier run that takes the work of a later one", () => {
  const later = runOf("three", {});
  const ways = (verification: object | null, head_sha?: string) =>
    waysOf(shown({ output: { head_branch: "notes", head_sha }, verification }, null, later));
  expect(ways({ verdict: "verified", commit: "5f3a", reasons: [], checks: [] })).toEqual([
    "git fetch origin notes && git switch --detach 5f3a",
    "taskbeacon run apply two",
  ]);
  expect(ways(null, "ab12")[0]).toBe("git fetch origin notes && git switch --detach ab12");
  for (const commit of [undefined, "a; b"]) expect(ways(null, commit)).toEqual(["taskbeacon run apply two"]);
});

it("leads from work that was not checked to its checks, and nowhere else", () => {
  history.replaceState(null, "", "/console/projects/1/tasks/t");
  const end = shown({ verification: { verdict: "claimed", reasons: [], checks: [] } });
  const link = within(end).getByRole("link", { name: "Nothing was checked" });
  expect(link.getAttribute("href")).toBe("/console/projects/1/tasks/t?pane=checks");
});

it("says what became of the comments of the run before, and which are not sent", () => {
  const text = shown({ state: CONTINUES }).textContent;
  expect(text).toContain("The lines of 1 of 2 comments changed.");
  expect(text).toContain("Review the changes · 1 unsent comment");
  const lost = { status: "failed", artifacts: [], state: { recovery: { reason: "worker lost" } } };
  expect(shown(lost).textContent).toContain("1 unsent comment");
});

it.each([
  [20, undefined, "The agent has finished its turn", "Review 20 files · 1 unsent comment"],
  [0, "The model refused.", "The agent's turn has failed.", "Review the changes · 1 unsent comment"],
])("leads from the end of a turn that changed %i files to what is next", (files, failure, why, review) => {
  const waits = { kind: "message", ...(failure ? { failure } : {}) };
  const done: string[] = [];
  const end = shown({ status: "in_progress", state: { waiting_for: waits } }, (run) => (
    <TurnEnd
      {...{ run, files, runRef: { project: 1, task: "t", run: "two" } }}
      actions={{ finish: () => done.push("finish") } as never}
      onReview={() => done.push("review")}
    />
  ));
  expect(end.textContent).toContain(why);
  const next = within(within(end).getByRole("group", { name: "What next?" }));
  for (const name of [review, "Finish the run"]) fireEvent.click(next.getByRole("button", { name }));
  expect(done).toEqual(["review", "finish"]);
});

it("says who has accepted work that is not verified, and why", () => {
  const user = { first_name: "Ana", email: "ana@example.com" };
  const waiver = { user, at: "2026-01-01T00:00:00Z", reason: "The test is wrong." };
  const refuted = { verdict: "refuted", waived: true, reasons: [], checks: [], waivers: [waiver] };
  expect(shown({ verification: refuted }).textContent).toMatch(/Waived by Ana .*: The test is wrong\./);
});
