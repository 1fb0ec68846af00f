/** One tool call: a line that says what and how it went, and below it what it printed and changed. */
import * as icons from "lucide-react";
import { memo, useMemo, useState } from "react";
import { languageOfFile } from "../../text/languages";
import { countLines, diffTexts } from "../../text/lineDiff";
import type { ToolDiff, ToolItem, ToolKind } from "../../transcript/items";
import { classes } from "../../ui/classes";
import { Chevron } from "../../ui/controls";
import { Copied } from "../../ui/copy";
import { Counts } from "../../ui/counts";
import { Diff } from "../../ui/diff";
import { Terminal } from "../../ui/terminal";
import { EditorLink } from "../project/EditorLink";
import { useIsFound } from "./found";
import styles from "./transcript.module.css";

const ICONS: Record<ToolKind, [icons.LucideIcon, string]> = {
  read: [icons.FileText, "Read"],
  edit: [icons.FilePen, "Edit"],
  delete: [icons.Trash2, "Delete"],
  move: [icons.FolderOutput, "Move"],
  search: [icons.Search, "Search"],
  execute: [icons.SquareTerminal, "Command"],
  think: [icons.Brain, "Think"],
  fetch: [icons.Globe, "Fetch"],
  switch_mode: [icons.ToggleRight, "Mode"],
  other: [icons.Wrench, "Tool"],
};

const STATUS_WORDS = {
  pending: "waits",
  in_progress: "runs",
  completed: "",
  failed: "failed",
  cancelled: "did not end",
} as const;

/** Paths of the workspace are absolute; its folder says nothing to the reader. */
const shortPath = (path: string) => path.replace(/^.*\/(?:workspace|work|repository|repo)\//, "");

export const ToolRow = memo(function ToolRow({ item: tool }: { item: ToolItem }) {
  const [Icon, word] = ICONS[tool.toolKind];
  const hasBody = tool.output !== "" || tool.diffs.length > 0 || tool.command !== "";
  // Changes and what runs now are what the reader looks for; the rest opens by a click.
  const opens = tool.diffs.length > 0 || tool.status === "in_progress" || tool.status === "failed";
  const [chosen, setChosen] = useState<boolean | null>(null);
  const isFound = useIsFound(tool.id);
  const isOpen = hasBody && (chosen ?? (opens || isFound));
  const statusWord = STATUS_WORDS[tool.status];
  const title = tool.title || tool.command || word;
  return (
    <div className={classes("card", tool.parentId && styles.nested)}>
      <button
        type="button"
        className={classes("row line dim", styles.toolHead)}
        aria-expanded={hasBody ? isOpen : undefined}
        disabled={!hasBody}
        onClick={() => setChosen(!isOpen)}
      >
        <Icon size={15} className="faint" />
        <span className="visually-hidden">{word}: </span>
        <span className="clip grow small">{title}</span>
        {tool.exitStatus !== null && tool.exitStatus !== 0 && (
          <span className="small danger fixed">exit {tool.exitStatus}</span>
        )}
        {statusWord && (
          <span className={classes("small fixed", tool.status === "failed" ? "danger" : "running")}>
            {statusWord}
          </span>
        )}
        {hasBody && <Chevron isOpen={isOpen} />}
      </button>
      {isOpen && (
        <div className={classes("column", styles.body)}>
          {tool.toolKind === "execute" && tool.command && tool.command !== tool.title && (
            <Copied text={tool.command}>
              <pre className={classes("well small dim", styles.command)}>
                {tool.command.replace(/\n$/, "")}
              </pre>
            </Copied>
          )}
          {tool.diffs.map((diff) => (
            <FileEdit key={diff.path} diff={diff} />
          ))}
          {tool.output && (
            <Copied text={tool.output}>
              <Terminal text={tool.output} label={`Output of ${title}`} />
            </Copied>
          )}
        </div>
      )}
    </div>
  );
});

function FileEdit({ diff }: { diff: ToolDiff }) {
  const hunks = useMemo(() => diffTexts(diff.oldText, diff.newText), [diff]);
  return (
    <div className={classes("card clips", styles.edit)}>
      <p className={classes("row apart small sunken", styles.editHead)}>
        <span>{shortPath(diff.path)}</span>
        <EditorLink path={shortPath(diff.path)} />
        <Counts {...countLines(hunks)} />
      </p>
      <Diff hunks={hunks} mode="unified" name={diff.path} language={languageOfFile(diff.path)} />
    </div>
  );
}
