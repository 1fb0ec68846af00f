// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, within } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import type { Base } from "../../api/changes";
import type { FileChange, Run } from "../../api/types";
import { parseHunks } from "../../text/patch";
import { ChangedFile } from "./ChangedFile";
import ChangesPane from "./ChangesPane";
import { placeOf } from "./range";
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
  { base = "start" as Base, asked = [] as ShownComment[], behind = null as number | null, sent = "" } = {},
) {
  const queries = new QueryClient({ defaultOptions: { queries: { refetchOnMount: false } } });
  history.replaceState(null, "", `?base=${base}`);
  const earlier = asked.length > 0 ? [{ run_id: "one", sent_by: { id: 1 }, comments: asked }] : [];
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
        {...{ onResume: nothing, onSend: nothing, onConversation: undefined, sentText: () => sent }}
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
        {...{ onViewed: nothing, onGo: nothing, onComment: nothing, onDiscard: nothing, onResolve: nothing }}
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

it("folds comments that stand nowhere into one line, which says how many are unresolved", () => {
  const moved = { path: "x", line: 11, start_line: 11, hash: "0.0.other     t += price*qty" };
  const comments = [
    comment({ ...moved, id: "a" }),
    comment({ ...moved, id: "b", text: "And?", message_id: "m", resolved: true }),
    comment({ id: "c", path: "gone", text: "Where?" }),
  ];
  const patch = "@@ -9,0 +11 @@\n+t = 0\n";
  const pane = paneOf("completed", "stored", [file("x", { patch, additions: 1, truncated: true })], comments);
  const lines = [...pane.querySelectorAll<HTMLElement>("button[data-comment]")];
  expect(lines.map((line) => [line.textContent?.trim(), line.getAttribute("aria-expanded")])).toEqual([
    ["1 comment on lines that are not in these changes · 1 unresolved", "false"],
    ["2 comments on lines that are not in these changes · 1 unresolved", "false"],
  ]);
  expect(pane.textContent).not.toContain("Why?");
  for (const line of lines) fireEvent.click(line);
  expect(lines.map((line) => line.getAttribute("aria-expanded"))).toEqual(["true", "true"]);
  expect(pane.textContent).toContain("line 11: not shown here.");
  expect(pane.textContent).toContain("gone, line 1: not in this diff.");
  expect([...pane.querySelectorAll("pre")].map((code) => code.textContent)).toEqual(["    t += price*qty"]);
});

it("shows what a comment was made on beside the line that has replaced it in the whole branch", () => {
  const made = parseHunks("@@ -1 +1,2 @@\n a\n+b\n");
  const asked = made[0]?.lines.slice(1) ?? [];
  const { container } = render(
    <QueryClientProvider client={new QueryClient()}>
      <ChangedFile
        {...{ index: 0, base: "first", mode: "unified", view: "new", patchPath: null, runRef }}
        {...{ hidesSpaces: false, found: null, ownPatch: "@@ -1,2 +1,2 @@\n a\n-b\n+c\n" }}
        {...{ onViewed: nothing, onGo: nothing, onComment: nothing, onDiscard: nothing, onResolve: nothing }}
        comments={[
          comment({ ...placeOf(asked, made), isEarlier: true, isOlder: false, sent: "Asked of this run" }),
        ]}
        file={file("x", { additions: 1, patch: "@@ -1 +1,2 @@\n a\n+c\n" })}
      />
    </QueryClientProvider>,
  );
  expect(container.textContent).toContain("Made on what has changed since:");
  expect(container.querySelector("[data-comment] pre")?.textContent).toBe("b");
  expect(container.querySelector("[aria-expanded=false]")).toBeNull();
});

it("shows an earlier comment where its lines are now, and lets its person alone resolve it", () => {
  const onResolve = vi.fn();
  const patch = "@@ -7,2 +7,3 @@\n a\n+new\n b\n";
  const asked = parseHunks("@@ -1 +1,2 @@\n a\n+b\n")[0]?.lines.slice(1) ?? [];
  const earlier = {
    ...placeOf(asked),
    ...{ isEarlier: true, isOlder: true },
    text: "Why b?",
    sent: "Sent by Ana in Run 1",
  };
  const shown = (more: Partial<ShownComment>) =>
    render(
      <QueryClientProvider client={new QueryClient()}>
        <ChangedFile
          {...{ index: 0, base: "start", mode: "unified", view: "new", patchPath: null, runRef }}
          {...{ hidesSpaces: false, found: null }}
          {...{ onViewed: nothing, onGo: nothing, onComment: nothing, onDiscard: nothing, onResolve }}
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
  ["start", "old", "removed before this run"],
] as const)("says of what was asked, in the diff from %s, on the %s side: %s", (base, side, why) => {
  const asked = comment({
    side,
    sent: "Asked of this run",
    isEarlier: true,
    isOlder: false,
    hash: "0.0.other",
  });
  const queries = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
  queries.setQueryData(["lines", "r", base, "x"], ["a", "b", "c", "d"]);
  const { container } = render(
    <QueryClientProvider client={queries}>
      <ChangedFile
        {...{ index: 0, base, mode: "unified", view: "new", patchPath: null, runRef }}
        {...{ hidesSpaces: false, found: null, ownPatch: base === "first" ? "" : undefined }}
        {...{ onViewed: nothing, onGo: nothing, onComment: nothing, onDiscard: nothing, onResolve: nothing }}
        comments={[asked]}
        file={file("x", { additions: 1, patch: "@@ -4,0 +5 @@\n+new\n" })}
      />
    </QueryClientProvider>,
  );
  fireEvent.click(within(container).getByRole("button", { name: /^1 comment on lines/ }));
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
  expect(pane.queryByText(/has moved on/)?.textContent ?? "").toBe(said);
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
  ["start", "Nothing changed at the lines of 1 comment."],
  ["first", ""],
] as const)("counts what became of comments beside the run's own changes alone: %s", (base, tally) => {
  const asked = [comment({ message_id: "run:r", sent: "Asked of this run" })];
  const pane = paneOf("completed", "stored", [MODE], [], false, { base, asked });
  fireEvent.click(within(pane).getByRole("button", { name: /^1 comment on lines/ }));
  expect(pane.textContent).toContain("x, line 1 of the run before: not in this diff.");
  expect(pane.textContent?.match(/Nothing changed at [\w ]+ comments?\./)?.[0] ?? "").toBe(tally);
});

// The sum left out the comment on the removed line, which was "changed here" in its place.
it("counts the comments that each say that something has changed there", () => {
  const gone = parseHunks("@@ -1,2 +1 @@\n keep\n-back\n");
  const asked = [
    comment({ id: "a", path: "back", ...placeOf(gone[0]?.lines.slice(1) ?? [], gone) }),
    comment({ id: "b", path: "gone", ...placeOf(parseHunks("@@ -0,0 +1 @@\n+old\n")[0]?.lines ?? []) }),
    comment({ id: "c", path: "left" }),
  ].map((one) => ({ ...one, message_id: "run:r" }));
  const files = [
    file("back", { status: "A", additions: 2, patch: "@@ -0,0 +1,2 @@\n+keep\n+back\n" }),
    file("gone", { status: "D", deletions: 1, patch: "@@ -1 +0,0 @@\n-old\n" }),
  ];
  const pane = paneOf("completed", "stored", files, [], false, { asked, sent: "Asked of this run" });
  for (const line of within(pane).queryAllByRole("button", { name: /^1 comment on lines/ }))
    fireEvent.click(line);
  expect(pane.textContent?.match(/Asked of this run: changed here/g)).toHaveLength(2);
  expect(pane.textContent).toContain("The lines of 2 of 3 comments changed.");
});

it("says of a comment that it is not sent yet", () => {
  const patch = "@@ -1 +1 @@\n-one\n+eins\n";
  const place = placeOf(parseHunks(patch)[0]?.lines.slice(1) ?? []);
  const shown = (sent: string) => {
    const comments = [comment({ path: "x", ...place })];
    return paneOf("completed", "stored", [file("x", { patch, additions: 1 })], comments, false, { sent });
  };
  expect(shown("").querySelector("[data-comment]")?.textContent).toContain("Not sent yet");
  expect(shown("Read by the agent").querySelector("[data-comment]")?.textContent).not.toContain("Not sent");
});

it("shows a comment at a file that the run has renamed, though another has its name now", () => {
  const asked = [comment({ path: "run.sh", message_id: "run:r", sent: "Asked of this run" })];
  const files = [
    file("new.sh", { status: "R", old_path: "run.sh", patch: "" }),
    file("run.sh", { status: "A" }),
  ];
  const list = paneOf("completed", "stored", files, [], false, { asked }).querySelector("nav");
  const lines = [...(list?.querySelectorAll("button") ?? [])].map((line) => line.textContent);
  expect(lines.filter((line) => line?.includes("1 comment"))).toEqual([expect.stringContaining("new.sh")]);
});

it("goes on from the file that was viewed, and to the next comment behind the current file", () => {
  // The keys of one page.
  cleanup();
  const patch = "@@ -1 +1 @@\n-one\n+eins\n";
  const files = ["a", "b", "c", "d"].map((path) => file(path, { patch, additions: 1, deletions: 1 }));
  const place = placeOf(parseHunks(patch)[0]?.lines.slice(1) ?? []);
  const comments = ["a", "d"].map((path) => comment({ id: path, path, text: `Why ${path}?`, ...place }));
  vi.stubGlobal("fetch", () => new Promise(() => {}));
  const pane = paneOf("completed", "stored", files, comments);
  const focused = () => document.activeElement?.closest("section")?.getAttribute("aria-label");
  const press = (key: string) => fireEvent.keyDown(document.activeElement ?? document, { key });
  // With the pointer: the keys marked another file, whichever was at the top before, or took the mark back.
  fireEvent.click(within(pane).getByRole("checkbox", { name: "Viewed: b" }));
  expect(focused()).toBe("c");
  press("v");
  const viewed = () => within(pane).getAllByRole<HTMLInputElement>("checkbox", { checked: true });
  expect(viewed().map((box) => box.getAttribute("aria-label"))).toEqual(["Viewed: b", "Viewed: c"]);
  expect(focused()).toBe("d");
  press("k");
  expect(focused()).toBe("c");
  // It was the first comment of all.
  press("n");
  expect(document.activeElement?.getAttribute("aria-label")).toBe("Edit the comment: Why d?");
  press("N");
  expect(document.activeElement?.getAttribute("aria-label")).toBe("Edit the comment: Why a?");
  press("n");
  expect(focused()).toBe("d");
  fireEvent.click(within(pane).getByRole("checkbox", { name: "Viewed: b" }));
  expect(focused()).toBe("b");
});
