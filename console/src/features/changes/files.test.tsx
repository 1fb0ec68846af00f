// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, within } from "@testing-library/react";
import { expect, it } from "vitest";
import type { FileChange } from "../../api/types";
import { ChangedFile } from "./ChangedFile";
import { FileList } from "./FileList";
import type { ShownComment } from "./review";

const file = (path: string, more: Partial<FileChange> = {}): FileChange => ({
  path,
  old_path: null,
  status: "M",
  additions: 0,
  deletions: 0,
  binary: false,
  old_size: null,
  new_size: null,
  truncated: false,
  ...more,
});

const FILES = [
  file("api/service.py", { additions: 2, deletions: 1, patch: "@@ -1 +1,2 @@\n-a\n+b\n+c\n" }),
  file("new/name.py", { status: "R", old_path: "old/name.py", patch: "rename from old/name.py\n" }),
  file("run.sh", { patch: "old mode 100644\nnew mode 100755\n" }),
  file("empty.py", { status: "A", patch: "new file mode 100644\n" }),
  file("logo.png", { binary: true, old_size: 2048, new_size: 300 }),
  file("new.png", { status: "A", binary: true, old_size: 0, new_size: 3 * 1024 * 1024 }),
  file("cut.png", { binary: true }),
];

const nothing = () => {};
const show = (one: FileChange) =>
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ChangedFile
        {...{
          index: 0,
          file: one,
          base: "start",
          mode: "unified",
          hidesSpaces: false,
          found: null,
          view: "new",
          patchPath: null,
        }}
        {...{
          comments: [],
          onViewed: nothing,
          onGo: nothing,
          onComment: nothing,
          onDiscard: nothing,
          onResolve: nothing,
        }}
        runRef={{ project: 1, task: "t", run: "r" }}
      />
    </QueryClientProvider>,
  ).container;

it("says what has changed where no line has", () => {
  const texts = FILES.map((one) => show(one).textContent);
  expect(texts[1]).toContain("renamed and not changed");
  expect(texts[2]).toContain("mode 100644 → 100755");
  expect(texts[3]).toContain("The file is empty");
  expect(texts[4]).toContain("2 kB → 300 B");
  expect(texts[5]).toContain("3 MB");
  expect(texts.slice(1).filter((text) => /[+−]0/.test(text ?? ""))).toEqual([]);
});

it("keeps the end of a long name, by which files differ", () => {
  const files = [0, 1].map((number) => file(`pkg/module_with_a_rather_long_name_${number}.py`));
  const list = (
    <FileList files={files} views={new Map()} comments={new Map()} current={0} onChoose={nothing} />
  );
  const ends = [...render(list).container.querySelectorAll("[aria-hidden] > .clip + *")];
  expect(ends.map((end) => end.textContent)).toEqual(["long_name_0.py", "long_name_1.py"]);
});

it("names every file by its path, with what has changed", () => {
  const views = new Map(FILES.map(({ path }) => [path, "viewed" as const]));
  const comments = new Map([["run.sh", [{}, {}, { sent: "Sent" }] as ShownComment[]]]);
  const list = <FileList files={FILES} views={views} comments={comments} current={0} onChoose={nothing} />;
  const found = within(render(list).container);
  for (const name of [
    "api/service.py, modified, viewed,+2 −1",
    "new/name.py, renamed, viewed,",
    "run.sh, modified, viewed,2 comments",
    "empty.py, added, viewed,",
    "logo.png, modified, viewed,2 kB → 300 B",
    "new.png, added, viewed,3 MB",
    "cut.png, modified, viewed,binary",
  ])
    found.getByRole("button", { name });
  for (const one of FILES) within(show(one)).getByRole("checkbox", { name: `Viewed: ${one.path}` });
});
