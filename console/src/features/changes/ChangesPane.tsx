/** What a run has changed: files, their diffs, marks of what was viewed, and comments that go to the agent as one message. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Columns2, FileDiff, ListTree, Maximize2, Minimize2, Pilcrow, Rows2, Search } from "lucide-react";
import { useCallback, useDeferredValue, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useSearchParams } from "wouter";
import type { Base } from "../../api/changes";
import { downloadPath } from "../../api/commands";
import { visible } from "../../text/marks";
import { classes, scrolling } from "../../ui/classes";
import { Button, IconButton, Select } from "../../ui/controls";
import { Counts, countOf } from "../../ui/counts";
import type { DiffMode } from "../../ui/diff";
import { Empty, Failure, Loading } from "../../ui/feedback";
import { useFind } from "../../ui/find";
import { useKept } from "../../ui/kept";
import { useKeys } from "../../ui/keys";
import { useMedia, useNarrow } from "../../ui/media";
import { bring } from "../../ui/near";
import { earlierOf, isOver, noChangesText, patchOf } from "../project/runState";
import { basesOf, missingOf } from "./bases";
import { ChangedFile } from "./ChangedFile";
import { LeftOut } from "./CommentNote";
import styles from "./changes.module.css";
import { FileList } from "./FileList";
import { findLines } from "./range";
import { type Comment, inOrder, pathNow, placeThen, type ShownComment, viewOf } from "./review";
import { SendBar, type Sending } from "./SendBar";
import { usePlace } from "./usePlace";
import { changesQuery, useBehind, useOutcome, useReview } from "./useReview";

const UNIFIED: { mode: DiffMode; hidesSpaces: boolean } = { mode: "unified", hidesSpaces: false };
const AGAIN_MS = 1500;
const FRESH_MS = 4000;
const AGAINST_NOW = "What others have added to the base since the run began is shown as removed.";
const NO_SPACES = "Leave out changes of white space";
const SPACES = "Show changes of white space";
const FULL = "Use the whole width";
const BESIDE = "Show the conversation beside it";
const NONE: never[] = [];
const FIRST = 20;
const TWO_COLUMNS_PX = 900;

interface Props extends Sending {
  /** Changes with the workspace of a run that is not over, as its stream says it. */
  tree: string | null;
  isOffline: boolean;
  /** Whether the pane takes the whole width; where it always does, that cannot be changed. */
  isFull: boolean;
  onFull: ((isFull: boolean) => void) | undefined;
  /** How far a comment has come, in words; empty: it was not read, and will not be. */
  sentText: (comment: Comment & Partial<ShownComment>) => string;
}

export default function ChangesPane(props: Props) {
  const { run, runRef, tree, isOffline, isFull, onFull, sentText, ...sending } = props;
  const queries = useQueryClient();
  const over = isOver(run);
  const [search, setSearch] = useSearchParams();
  const bases = basesOf(run);
  const base = bases.find(([name]) => name === search.get("base"))?.[0] ?? "start";
  const setBase = (base: Base) => setSearch({ pane: "changes", base }, { replace: true });
  const changes = useQuery({
    ...changesQuery(queries, runRef, base, run),
    refetchInterval: ({ state }) => (missingOf(state.data, base).passes ? AGAIN_MS : false),
  });
  const behind = useBehind(runRef, !over && changes.data?.source === "live");
  const { refetch } = changes;
  const isOld = tree !== null && changes.data?.source === "live" && changes.data.tree !== tree;
  useEffect(() => {
    if (!isOld || !tree) return;
    void refetch();
    // What is said is that the run's own changes are new: others may have been compared a moment before.
    const again = base === "start" ? undefined : setTimeout(refetch, FRESH_MS);
    return () => clearTimeout(again);
  }, [isOld, tree, refetch, base]);
  const [look, keep] = useKept(localStorage, "taskbeacon.diff", UNIFIED);
  const { hidesSpaces } = look;
  const { review, toggleViewed, act, isStored } = useReview(runRef);
  const { earlier, own, tally } = useOutcome(run, runRef);
  const kept = useMemo(() => [...(review?.comments ?? NONE), ...earlier], [review?.comments, earlier]);
  const texts = kept.map(sentText).join("\n");
  const files = useMemo(() => inOrder(changes.data?.files ?? NONE), [changes.data?.files]);
  const comments = useMemo<readonly ShownComment[]>(() => {
    const text = texts.split("\n");
    return kept.map((one: Comment & Partial<ShownComment>, index) => {
      return { ...one, path: pathNow(one, files, own), sent: text[index] ?? "" };
    });
  }, [kept, texts, files, own]);
  const unsent = comments.filter(({ sent }) => !sent);
  const commentsByPath = useMemo(() => Map.groupBy(comments, ({ path }) => path), [comments]);
  const views = useMemo(() => {
    const viewed = new Map(review?.viewed.map(({ path, hash }) => [path, hash]));
    return new Map(files.map((file) => [file.path, viewOf(viewed, file)]));
  }, [files, review?.viewed]);
  // What is in sight is there at once. Many come a moment later: each answer to the page makes their drawing begin again.
  const whole = useDeferredValue(files, NONE);
  const drawn = whole.length > 0 ? whole : files.slice(0, FIRST);
  const list = useRef<HTMLDivElement>(null);
  const { at, onScroll, stay, go, goToComment } = usePlace(list);
  const isPhone = useMedia("(max-width: 760px)");
  const [isNarrow, pane] = useNarrow(TWO_COLUMNS_PX);
  const mode = isNarrow ? "unified" : look.mode;
  const [isListed, setListed] = useState(!isPhone);
  const choose = useCallback(
    (index: number) => {
      go(index);
      // There it would cover what was chosen.
      if (isPhone) setListed(false);
    },
    [go, isPhone],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: all heights change with the width
  useLayoutEffect(stay, [isFull, mode]);
  const view = () => {
    if (!files[at]) return;
    toggleViewed(files[at]);
    go(at + 1);
  };
  const [found, setFound] = useState<string | null>(null);
  const [find, findBar] = useFind({
    where: "the changes",
    unit: "line",
    className: styles.head,
    content: list,
    find: (text) => findLines(files, hidesSpaces, text),
    onShow: setFound,
  });
  const [foundAt = "", foundIn] = found?.split(/ (.*)/s) ?? [];
  useLayoutEffect(() => {
    const file = list.current?.querySelector(
      `[data-file="${files.findIndex(({ path }) => path === foundIn)}"]`,
    );
    bring(list.current, file?.querySelector(`[data-row="${foundAt}"]`), "middle");
  }, [files, foundAt, foundIn]);
  const toggleSpaces = () => keep({ ...look, hidesSpaces: !hidesSpaces });
  useKeys({
    s: ["Find in the changes", find],
    // Beside the conversation, it is the transcript that is searched by it.
    ...(sending.onConversation ? { "Mod+f": find } : {}),
    w: [hidesSpaces ? SPACES : NO_SPACES, toggleSpaces],
    j: ["Next file", () => go(at + 1)],
    k: ["File before", () => go(at - 1)],
    n: ["Next comment", () => goToComment(1)],
    N: ["Comment before", () => goToComment(-1)],
    v: ["Mark the file as viewed, and go to the next", view],
    ...(onFull ? { f: [isFull ? BESIDE : FULL, () => onFull(!isFull)] as const } : {}),
  });

  if (changes.isPending) return <Loading what="the changes" />;
  if (!changes.data) return <Failure error={changes.error} onRetry={() => changes.refetch()} />;
  const { text: missing, passes: isAskedAgain } = missingOf(changes.data, base);
  const leftOut = changes.data.left_out.join(", ");
  const about = base === "start" ? tally : base === "branch" && AGAINST_NOW;
  const left = (isAskedAgain ? NONE : comments)
    .filter(({ path }) => !views.has(path))
    .map((comment) => ({
      comment,
      why: `${visible(comment.path)}, ${placeThen(comment)}: not in this diff.`,
    }));
  const sum = (key: "additions" | "deletions") => files.reduce((total, file) => total + file[key], 0);
  const lines = { additions: sum("additions"), deletions: sum("deletions") };
  const viewedCount = [...views.values()].filter((view) => view === "viewed").length;
  const patch = patchOf(run);
  return (
    <div className={classes("fill", styles.changes)} ref={pane}>
      {(files.length > 0 || bases.length > 1) && (
        <header className={classes("row", styles.head)}>
          {files.length > 1 && (
            <IconButton
              label={isListed ? "Hide the list of files" : "List the files"}
              aria-expanded={isListed}
              onClick={() => setListed(!isListed)}
              icon={ListTree}
            />
          )}
          {files.length > 0 && (
            <span className="small dim fixed">
              {viewedCount}/{files.length} viewed
            </span>
          )}
          <span className="clip grow small dim">
            <span className="at-desk">
              {files.length > 1 && `${at + 1} of `}
              {countOf(files.length, "file")} {lines.additions + lines.deletions > 0 && <Counts {...lines} />}
            </span>
          </span>
          {bases.length > 1 && (
            <Select
              aria-label="Changes of"
              className="clip"
              quiet
              value={base}
              choices={bases}
              onChoose={(value) => setBase(value as Base)}
            />
          )}
          {changes.data.source === "live" && run.status === "in_progress" && !isOffline && (
            <span
              className="small dim fixed"
              title="The workspace of the run as it is now; changes come by themselves"
            >
              <span className="running">●</span> Live
            </span>
          )}
          {files.length > 0 && (
            <>
              <IconButton label="Find in the changes" onClick={find} icon={Search} />
              <IconButton
                label={NO_SPACES}
                aria-pressed={hidesSpaces}
                onClick={toggleSpaces}
                icon={Pilcrow}
              />
            </>
          )}
          {!isNarrow && (
            <IconButton
              label={mode === "split" ? "Show in one column" : "Show side by side"}
              onClick={() => keep({ ...look, mode: mode === "split" ? "unified" : "split" })}
              icon={mode === "split" ? Rows2 : Columns2}
            />
          )}
          {onFull && (
            <IconButton
              label={isFull ? BESIDE : FULL}
              onClick={() => onFull(!isFull)}
              icon={isFull ? Minimize2 : Maximize2}
            />
          )}
        </header>
      )}
      {findBar}
      {about && <p className="padded small dim">{about}</p>}
      {behind > 0 && (
        <p className="row wrap apart padded small attention">
          <span>
            {changes.data.base ?? "The base"} has moved on by {countOf(behind, "commit")} since the run began.
          </span>
          {base !== "branch" && <Button onClick={() => setBase("branch")}>Compare with it now</Button>}
        </p>
      )}
      {files.length > 0 && missing && <p className="padded attention">{missing}</p>}
      {leftOut && <p className="padded dim">{missing ? leftOut : `Left out: ${leftOut}`}</p>}
      {files.length === 0 && (
        <Empty icon={FileDiff} title={over ? "No changes" : "No changes yet"}>
          <p>
            {missing ?? (over ? noChangesText(run) : "What the agent changes appears here as it happens.")}
          </p>
          {bases.length > 1 && base === "start" && earlierOf(run) && (
            <Button onClick={() => setBase("first")}>Show the whole branch</Button>
          )}
        </Empty>
      )}
      {files.length + left.length > 0 && (
        <div className={classes("fill", styles.body)}>
          {isListed && files.length > 1 && (
            <FileList files={drawn} views={views} comments={commentsByPath} current={at} onChoose={choose} />
          )}
          <div
            className={classes("divided scrolls", styles.list)}
            ref={list}
            data-scrolls
            {...scrolling("Diffs")}
            onScroll={onScroll}
          >
            <LeftOut notes={left} {...act} />
            {drawn.map((file, index) => (
              <ChangedFile
                {...{ index, file, base, runRef, mode, hidesSpaces }}
                key={file.path}
                ownPatch={
                  base === "start" ? undefined : (own?.find(({ path }) => path === file.path)?.patch ?? "")
                }
                found={file.path === foundIn ? Number(foundAt) : null}
                patchPath={patch ? downloadPath(runRef, patch.storage_path) : null}
                view={views.get(file.path) ?? "new"}
                onViewed={toggleViewed}
                onGo={go}
                comments={commentsByPath.get(file.path) ?? NONE}
                {...act}
              />
            ))}
          </div>
        </div>
      )}
      {unsent.length > 0 && (
        <SendBar
          {...{ run, runRef, base, files, isStored, ...sending }}
          comments={unsent}
          onDiscard={act.onDiscard}
        />
      )}
    </div>
  );
}
