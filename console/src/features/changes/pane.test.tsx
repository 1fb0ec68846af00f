// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, within } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import type { Base } from "../../api/changes";
import type { FileChange, Run } from "../../api/types";
import { parseHunks } from "../../text/patch";
import { ChangedFile } from "./ChangedFile";
import ChangesPane from "./ChangesPane";
import type { ShownComment } from "./review";
import { changesQuery } from "./useReview";

// Browsers have it, and the oldest Node does not.
Map.groupBy ??= (items, keyOf) => {
  const groups = new Map();
  let index = 0;
  for (const item of items) {
    const key = keyOf(item, index++);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
};

// jsdom has no layout.
const nothing = () => {};
vi.stubGlobal("matchMedia", () => ({
  matches: false,
  addEventListener: nothing,
  removeEventListener: nothing,
}));
vi.stubGlobal(
  "ResizeObserver",
  class {
    observe = nothing;
    disconnect = nothing;
  },
);

vi.stubGlobal("CSS", {});

const runRef = { project: 1, task: "t", run: "r" };
const file = (path: string, more: Partial<FileChange> = {}): FileChange => ({
  ...{ path, old_path: null, status: "M", additions: 0, deletions: 0, binary: false },
  ...{ old_size: null, new_size: null, truncated: false, ...more },
});
const comment = (more: Partial<ShownComment>): ShownComment => ({
  ...{ id: "c", path: "x", side: "new", start_line: 1, line: 1, hash: null, text: "Why?", created_at: null },
  ...{ message_id: null, sent: "", ...more },
});

function paneOf(
  status: Run["status"],
  source: "live" | "stored",
  files: FileChange[],
  comments: object[] = [],
  isOffline = false,
  { base = "start" as Base, asked = [] as ShownComment[], behind = null as number | null } = {},
) {
  const queries = new QueryClient({ defaultOptions: { queries: { refetchOnMount: false } } });
  history.replaceState(null, "", `?base=${base}`);
  const earlier = asked.length > 0 ? [{ run_id: "one", sent_by: { id: 1 }, comments: asked }] : [];
  queries.setQueryData(["asked", "r", ...asked.map(({ id }) => `one${id}`)], [[]]);
  const diff = { files, source, tree: "a", missing: null, left_out: [] };
  queries.setQueryData(changesQuery(queries, runRef, "branch").queryKey, { ...diff, behind } as never);
  queries.setQueryData(changesQuery(queries, runRef, "start").queryKey, diff as never);
  queries.setQueryData(changesQuery(queries, runRef, base).queryKey, diff as never);
  queries.setQueryData(["review", "r"], { version: 1, viewed: [], comments, earlier });
  const state = { resume_from_run_id: asked.length > 0 ? "one" : null };
  const run = { id: "r", status, state, output: null, artifacts: [] } as unknown as Run;
  const { container } = render(
    <QueryClientProvider client={queries}>
      <ChangesPane
        {...{ run, runRef, tree: null, isOffline, isFull: false, onFull: undefined, isBusy: false }}
        {...{ onResume: nothing, onSend: nothing, onConversation: undefined, sentText: () => "" }}
      />
    </QueryClientProvider>,
  );
  return container;
}

const MODE = file("run.sh", { patch: "old mode 100644\nnew mode 100755\n" });

it.each([
  ["in_progress", "live", true],
  ["queued", "live", false],
  ["in_progress", "stored", false],
  ["completed", "live", false],
] as const)(
  "says whether the changes of a run that is %s, which are %s, come by themselves",
  (status, source, is) => {
    expect(paneOf(status, source, [MODE]).textContent?.includes("● Live")).toBe(is);
  },
);

it("says while there is no connection of no changes that they come by themselves", () => {
  expect(paneOf("in_progress", "live", [MODE], [], true).textContent).not.toContain("Live");
});

it("says that a file is paused while a comment on its lines is written, once it has changed", () => {
  const at = { range: { start: 1, end: 1 }, text: "half" };
  sessionStorage.setItem("taskbeacon.comment.r.x", JSON.stringify(at));
  const shown = (patch: string) => (
    <QueryClientProvider client={queries}>
      <ChangedFile
        {...{
          index: 0,
          base: "start",
          mode: "unified",
          hidesSpaces: false,
          found: null,
          view: "new",
          patchPath: null,
          runRef,
          comments: [],
        }}
        {...{ onViewed: nothing, onComment: nothing, onDiscard: nothing, onResolve: nothing }}
        file={one(patch)}
      />
    </QueryClientProvider>
  );
  const queries = new QueryClient();
  const one = (patch: string) => file("x", { additions: 1, patch: `@@ -0,0 +1 @@\n+${patch}\n` });
  const { container, rerender } = render(shown("new"));
  expect(container.textContent).not.toContain("paused while you write");
  rerender(shown("newer"));
  expect(container.textContent).toContain("paused while you write");
  sessionStorage.clear();
});

it("counts no lines where only modes have changed", () => {
  const text = paneOf("completed", "stored", [MODE, file("empty.py", { status: "A" })]).textContent;
  expect(text).toContain("2 files");
  expect(text).not.toMatch(/[+−]0/);
});

it("counts in the list of files the comments of each", () => {
  const comments = [comment({ id: "a", path: "run.sh" }), comment({ id: "b", path: "run.sh" })];
  const list = paneOf("completed", "stored", [MODE, file("other.sh")], comments).querySelector("nav");
  const lines = [...(list?.querySelectorAll("button") ?? [])].map((line) => line.textContent);
  expect(lines.map((line) => line?.includes("2 comments"))).toEqual([false, true]);
});

it("shows the line as it was that a comment stood at, once the line is another", () => {
  const moved = comment({ path: "x", line: 11, start_line: 11, hash: "0.0.other     t += price*qty" });
  const patch = "@@ -9,0 +11 @@\n+t = 0\n";
  const pane = paneOf("completed", "stored", [file("x", { patch, additions: 1, truncated: true })], [moved]);
  expect(pane.textContent).toContain("(line 11) have changed since");
  expect(pane.querySelector("pre")?.textContent).toBe("    t += price*qty");
});

it("shows an earlier comment where its lines are now, and lets its person alone resolve it", () => {
  const onResolve = vi.fn();
  const patch = "@@ -7,2 +7,3 @@\n a\n+new\n b\n";
  const asked = parseHunks("@@ -1 +1,2 @@\n a\n+b\n")[0]?.lines.slice(1) ?? [];
  const earlier = {
    asked,
    isOlder: true,
    line: 2,
    start_line: 2,
    text: "Why b?",
    sent: "Sent by Ana in Run 1",
  };
  const shown = (more: Partial<ShownComment>) =>
    render(
      <QueryClientProvider client={new QueryClient()}>
        <ChangedFile
          {...{ index: 0, base: "start", mode: "unified", view: "new", patchPath: null, runRef }}
          {...{ hidesSpaces: false, found: null }}
          {...{ onViewed: nothing, onComment: nothing, onDiscard: nothing, onResolve }}
          comments={[comment({ ...earlier, ...more })]}
          file={file("x", { additions: 1, patch })}
        />
      </QueryClientProvider>,
    );
  const own = shown({});
  expect(own.container.textContent).not.toContain("changed since");
  expect(own.container.textContent).toContain("Sent by Ana in Run 1");
  fireEvent.click(own.getByRole("button", { name: "Resolve the comment: Why b?" }));
  expect(onResolve).toHaveBeenCalledOnce();
  own.unmount();
  expect(shown({ resolved: true }).getByRole("button", { name: "Reopen the comment: Why b?" })).toBeTruthy();
  expect(
    shown({ from: { isOwn: false } as NonNullable<ShownComment["from"]> }).container.textContent,
  ).not.toContain("Resolve");
});

it.each([
  ["first", "old", "not shown here"],
  ["first", "new", "changed since"],
  ["start", "old", "not among these changes"],
] as const)("says of what was asked, in the diff from %s, on the %s side: %s", (base, side, why) => {
  const asked = comment({ side, sent: "Asked of this run", asked: [], hash: "0.0.other" });
  const { container } = render(
    <QueryClientProvider client={new QueryClient()}>
      <ChangedFile
        {...{
          index: 0,
          base,
          mode: "unified",
          hidesSpaces: false,
          found: null,
          view: "new",
          patchPath: null,
          runRef,
          comments: [asked],
        }}
        {...{ onViewed: nothing, onComment: nothing, onDiscard: nothing, onResolve: nothing }}
        file={file("x", { additions: 1, patch: "@@ -4,0 +5 @@\n+new\n" })}
      />
    </QueryClientProvider>,
  );
  expect(container.textContent).toContain(`of the run before: ${why}.`);
});

it("finds a text in files that are not drawn, counts its lines, and shows one after the other", () => {
  const long = file("long", { additions: 2000, patch: `@@ -0,0 +1,2 @@\n+a needle\n+hay\n` });
  const patch = "@@ -1 +1 @@\n-no Needle\n+hay\n";
  const pane = within(
    paneOf("completed", "stored", [long, file("z", { patch, additions: 1, deletions: 1 })]),
  );
  expect(pane.queryByText("a needle")).toBeNull();
  fireEvent.click(pane.getByRole("button", { name: "Find in the changes" }));
  const field = pane.getByRole("textbox", { name: "Find in the changes" });
  fireEvent.change(field, { target: { value: " needle" } });
  expect(pane.getByText("1 of 2 lines")).toBeTruthy();
  expect(pane.getByText("a needle").closest("td")?.className).toContain("picked");
  fireEvent.keyDown(field, { key: "Enter" });
  expect(pane.getByText("2 of 2 lines")).toBeTruthy();
  expect(pane.getByText("no Needle").closest("td")?.className).toContain("picked");
  fireEvent.change(field, { target: { value: "nowhere" } });
  expect(pane.getByText("Not in the changes")).toBeTruthy();
});

it.each([
  ["in_progress", 3, "The base has moved on by 3 commits since the run began."],
  ["in_progress", 0, ""],
  ["completed", 3, ""],
] as const)("says by how much the base of a live run has moved on: %s, %s", (status, behind, said) => {
  const source = status === "completed" ? "stored" : "live";
  const pane = within(paneOf(status, source, [MODE], [], false, { behind }));
  expect(pane.queryByText(/has moved on/)?.textContent ?? "").toBe(said && `${said} Compare with it now`);
  if (said) fireEvent.click(pane.getByRole("button", { name: "Compare with it now" }));
  expect(location.search).toBe(said ? "?pane=changes&base=branch" : "?base=start");
});

it("leaves out changes of white space when that is asked for, and says so of a file that has no others", () => {
  const patch = "@@ -1 +1 @@\n-a\n+  a\n";
  const pane = within(paneOf("completed", "stored", [file("x", { patch, additions: 1, deletions: 1 })]));
  expect(pane.queryByText("Only white space has changed.")).toBeNull();
  fireEvent.click(pane.getByRole("button", { name: "Leave out changes of white space" }));
  expect(pane.getByText("Only white space has changed.")).toBeTruthy();
  localStorage.clear();
});

it("finds one of many files by a part of its name", () => {
  const files = Array.from({ length: 9 }, (_, at) => file(`src/file${at}.py`, { patch: "" }));
  const pane = within(paneOf("completed", "stored", files));
  const field = pane.getByRole("searchbox", { name: "Part of the name of a file" });
  const list = within(pane.getByRole("navigation", { name: "Changed files" }));
  expect(list.getAllByRole("listitem")).toHaveLength(9);
  fireEvent.change(field, { target: { value: "FILE7" } });
  expect(list.getAllByRole("listitem").map((line) => line.textContent)).toEqual([
    expect.stringContaining("src/file7.py"),
  ]);
});

it.each([
  ["start", "Nothing changed at the lines of 1 comment.", "line 1 of the run before: not in this diff."],
  ["first", "", "line 1 of the run before: its file is the same as in the base."],
] as const)("counts what became of comments beside the run's own changes alone: %s", (base, tally, why) => {
  const asked = [comment({ message_id: "run:r", sent: "Asked of this run", asked: [] })];
  const text = paneOf("completed", "stored", [MODE], [], false, { base, asked }).textContent;
  expect(text).toContain(`x, ${why}`);
  expect(text?.match(/(Nothing changed|The lines) [\w ]+ comments?( changed)?\./)?.[0] ?? "").toBe(tally);
});
