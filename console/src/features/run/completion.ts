/** What the composer offers to complete: commands of the agent behind `/`, files of the run behind `@`. Pure. */
import type { Item, Standing } from "../../transcript/items";
import type { Choice } from "../../ui/listbox";

export interface Completion {
  kind: "command" | "file";
  /** The part of the text that a choice replaces. */
  from: number;
  to: number;
  query: string;
}

const MOST = 8;

/** Return what is being typed at the caret, or null. A command stands at the beginning of the message only. */
export function completionAt(text: string, caret: number): Completion | null {
  const before = text.slice(0, caret);
  const command = /^\/(\S*)$/.exec(before);
  if (command) return { kind: "command", from: 0, to: caret, query: command[1] ?? "" };
  const file = /(?:^|\s)@(\S*)$/.exec(before);
  if (!file) return null;
  const query = file[1] ?? "";
  return { kind: "file", from: caret - query.length - 1, to: caret, query };
}

/** Return the files that tools of the run have touched, the latest first. */
export function filesOf(items: readonly Item[]): string[] {
  const tools = items.filter((item) => item.kind === "tool").toReversed();
  const paths = tools.flatMap(({ diffs, paths }) => [...diffs.map(({ path }) => path), ...paths]);
  return [...new Set(paths.filter(Boolean))];
}

export function choicesFor(completion: Completion, standing: Standing, files: readonly string[]): Choice[] {
  const query = completion.query.toLowerCase();
  if (completion.kind === "command") {
    return standing.commands
      .filter(({ name }) => name.toLowerCase().startsWith(query))
      .slice(0, MOST)
      .map(({ name, description }) => ({ value: `/${name} `, label: `/${name}`, hint: description }));
  }
  return files
    .map((path) => ({ path, rank: rankOf(path.toLowerCase(), query) }))
    .filter(({ rank }) => rank < 3)
    .sort((one, other) => one.rank - other.rank)
    .slice(0, MOST)
    .map(({ path }) => {
      const at = path.lastIndexOf("/") + 1;
      return { value: `@${path} `, label: path.slice(at), hint: path.slice(0, at) };
    });
}

/** How well a path fits: by the beginning of its name, by a part of its name, by a part of it, not. */
function rankOf(path: string, query: string): number {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (name.startsWith(query)) return 0;
  if (name.includes(query)) return 1;
  return path.includes(query) ? 2 : 3;
}

/** Return the text with a choice in place, and where the caret stands then. */
export function complete(text: string, { from, to }: Completion, { value }: Choice): [string, number] {
  const rest = text.slice(to).replace(/^ /, "");
  return [text.slice(0, from) + value + rest, from + value.length];
}
