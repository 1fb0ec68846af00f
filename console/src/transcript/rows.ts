/** The rows of a transcript on a page: items, with runs of reads and searches folded into one row. */
import type { Item, ToolItem } from "./items";

export interface FoldRow {
  kind: "fold";
  id: string;
  tools: readonly ToolItem[];
}

export type Row = Item | FoldRow;

function isQuiet(item: Item | undefined): item is ToolItem {
  return (
    item?.kind === "tool" &&
    (item.toolKind === "read" || item.toolKind === "search") &&
    item.status === "completed" &&
    item.parentId === null
  );
}

function isShown(item: Item, asked: Set<string>, hidesOpenQuestions: boolean): boolean {
  if (item.kind === "question") return !(hidesOpenQuestions && item.state === "open");
  return !(item.kind === "tool" && item.toolKind === "other" && !item.command && asked.has(item.id));
}

/** Folds are kept between calls, so that a row that has not changed is the same object. */
export class Rows {
  private folds = new Map<string, FoldRow>();

  /** An open question need not be a row where a card shows it. */
  of(all: readonly Item[], hidesOpenQuestions: boolean): Row[] {
    // A call that only asks is shown by its question.
    const asked = new Set(all.flatMap((item) => (item.kind === "question" ? `tool:${item.toolCallId}` : [])));
    const items = all.filter((item) => isShown(item, asked, hidesOpenQuestions));
    const rows: Row[] = [];
    for (let index = 0; index < items.length; ) {
      let end = index;
      while (isQuiet(items[end])) end += 1;
      const isFold = end - index >= 2;
      rows.push(isFold ? this.fold(items.slice(index, end) as ToolItem[]) : (items[index] as Item));
      index = isFold ? end : index + 1;
    }
    return rows;
  }

  private fold(tools: ToolItem[]): FoldRow {
    const id = `fold:${tools[0]?.id}`;
    const known = this.folds.get(id);
    const isSame =
      known?.tools.length === tools.length && known.tools.every((tool, at) => tool === tools[at]);
    const fold: FoldRow = isSame ? known : { kind: "fold", id, tools };
    this.folds.set(id, fold);
    return fold;
  }
}

// A check of the work that did not pass.
const BAD = /^Check .* \(result\): (?!started$|passed$)/;
const OLD = /^Check (.*) \(old tests\): failed$/;
const BESIDE = /^Check (.*) \((?:base|old tests)\): (?!started$)/;
/** Return the last step, or the check that decides: what the base and the old tests show alone is no verdict. */
export function titleOfSteps(steps: readonly string[]): string {
  const last = steps.at(-1) ?? "";
  const bad = steps.findLast((step) => BAD.test(step));
  if (bad) return bad;
  const old = steps.findLast((step) => OLD.test(step));
  const check = (OLD.exec(old ?? "") ?? BESIDE.exec(last))?.[1];
  if (!check || !steps.includes(`Check ${check} (result): passed`)) return last;
  return `${check}: passed${old ? "; old tests fail" : ""}`;
}

/** Return what a fold did, such as "Read 7 files, searched twice". */
export function describeFold(tools: readonly ToolItem[]): string {
  const reads = tools.filter((tool) => tool.toolKind === "read").length;
  const searches = tools.length - reads;
  const read = reads > 0 && `read ${reads} ${reads === 1 ? "file" : "files"}`;
  const searched = searches > 0 && (searches === 1 ? "searched once" : `searched ${searches} times`);
  const text = [read, searched].filter(Boolean).join(", ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
