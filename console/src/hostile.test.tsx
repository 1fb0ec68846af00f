// @vitest-environment jsdom
/**
 * Agents' output is hostile. Each string of the corpus goes through every place that shows such output, in a document
 * that would run scripts; then nothing may have run, and nothing may load from outside.
 */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CORPUS } from "../e2e/corpus";
import { ChangedFile } from "./features/changes/ChangedFile";
import { reviewMessage } from "./features/changes/review";
import { QuestionCard } from "./features/questions/QuestionCard";
import { fieldsOf } from "./features/questions/schema";
import { CheckRow, Ci, Claims, Step } from "./features/run/CheckRow";
import { Result } from "./features/run/Result";
import { TranscriptRow } from "./features/run/TranscriptRow";
import { parseHunks } from "./text/patch";
import { append, EMPTY } from "./transcript/append";
import { Rows } from "./transcript/rows";
import { InlineMarkdown, Markdown } from "./ui/markdown";
import { Terminal } from "./ui/terminal";

// Slow machines, and texts that are made to be slow.
vi.setConfig({ testTimeout: 30_000 });
(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

const notification = (method: string, params: object) => ({
  type: "notification",
  timestamp: "2026-01-01T00:00:00Z",
  notification: { method, params },
});
const update = (fields: object) => notification("session/update", { update: fields });
const text = (value: string) => ({ type: "text", text: value });

/** A run in which the agent puts the string everywhere it can. */
function transcriptOf(evil: string) {
  return append(EMPTY, [
    notification("_taskbeacon/progress", { message: evil }),
    notification("_posthog/error", { message: evil }),
    update({ sessionUpdate: "user_message_chunk", messageId: evil, content: text(evil) }),
    update({
      sessionUpdate: "user_message_chunk",
      messageId: evil,
      content: { type: "resource_link", name: evil, uri: evil },
    }),
    update({ sessionUpdate: "agent_message_chunk", content: text(evil) }),
    update({ sessionUpdate: "agent_message", messageId: "m", content: text(evil) }),
    update({
      sessionUpdate: "tool_call",
      toolCallId: evil || "t",
      title: evil,
      kind: "execute",
      status: "failed",
      rawInput: { command: evil },
      content: [
        { type: "content", content: text(evil) },
        { type: "diff", path: evil, oldText: evil, newText: `${evil}\n${evil}` },
      ],
    }),
    update({ sessionUpdate: "plan", entries: [{ content: evil, status: "completed" }] }),
    notification("_posthog/permission_request", {
      requestId: evil || "q",
      toolCall: { title: evil },
      options: [{ optionId: evil, name: evil }],
    }),
  ]);
}

function patchOf(evil: string): string {
  const line = evil.replaceAll("\n", " ");
  return `diff --git a/${line} b/${line}\n--- a/${line}\n+++ b/${line}\n@@ -1 +1 @@ ${line}\n-${line}\n+${line}!\n`;
}

let host: HTMLElement;
const alarm = vi.fn();

beforeEach(() => {
  host = document.body.appendChild(document.createElement("div"));
  for (const name of ["alert", "confirm", "prompt", "evil"]) vi.stubGlobal(name, alarm);
});

afterEach(() => {
  host.remove();
  alarm.mockReset();
  vi.unstubAllGlobals();
});

async function show(node: ReactNode): Promise<void> {
  const root = createRoot(host);
  await act(async () =>
    root.render(<QueryClientProvider client={new QueryClient()}>{node}</QueryClientProvider>),
  );
  check();
  await act(async () => root.unmount());
}

const FORBIDDEN =
  "script, iframe, object, embed, link, meta, base, style, img, video, audio, source, form[action], svg image, svg use, math";

const ATTRIBUTES = new Set("src srcset srcdoc action formaction style ping background".split(" "));

/** The marks of code, and the weights and sixteen colours of a terminal: the output chooses of a table. */
const LOOKS = [
  "color: var\\(--(ansi-\\d+|text-3|code-[a-z]+)\\)",
  "background: color-mix\\(in srgb, var\\(--ansi-\\d+\\) 18%, transparent\\)",
  "font-weight: 700|font-style: italic|text-decoration: (underline|line-through)",
];
const COLOURS = new RegExp(`^((${LOOKS.join("|")});\\s*)+$`);

/** What an attribute may not be, in words; null if it is fine. */
function problemOf(element: Element, { name, value }: Attr): string | null {
  if (name === "style" && COLOURS.test(value)) return null;
  if (name.startsWith("on") || ATTRIBUTES.has(name)) return `${name} on ${element.tagName}`;
  if (name !== "href" && name !== "xlink:href") return null;
  const isSafe =
    /^(https?:|mailto:)/i.test(value) && element.getAttribute("rel") === "noopener noreferrer nofollow";
  return isSafe ? null : `${name}=${value}`;
}

function check(): void {
  expect(alarm).not.toHaveBeenCalled();
  expect([...host.querySelectorAll(FORBIDDEN)].map((element) => element.outerHTML)).toEqual([]);
  const problems = [...host.querySelectorAll("*")].flatMap((element) =>
    [...element.attributes]
      .map((attribute) => problemOf(element, attribute))
      .filter((problem) => problem !== null),
  );
  expect(problems).toEqual([]);
}

it("has at least 200 strings", () => {
  expect(new Set(CORPUS).size).toBeGreaterThanOrEqual(200);
});

describe.each(CORPUS.map((evil, index) => [index, evil] as const))("string %i", (_index, evil) => {
  it("runs nothing and loads nothing, wherever it stands", async () => {
    const rows = new Rows().of(transcriptOf(evil).items, false);
    const counts = { additions: 1, deletions: 1, old_size: null, new_size: null };
    const state = { status: "R" as const, binary: false, truncated: true };
    const file = { path: evil, old_path: evil, ...state, ...counts, patch: patchOf(evil) };
    const place = { side: "new" as const, start_line: 1, line: 2, hash: evil };
    const comment = { id: "c", path: evil, ...place, text: evil, created_at: null };
    const [hunk] = parseHunks(file.patch);
    const one = { suite: evil, class: evil, name: evil };
    const check = {
      ...{ id: evil, source: "file", gate: "strict", status: "failed", cause: evil, exit_code: 1 },
      ...{ duration_ms: 1, base: "passed", base_cached: false, counts: null, old_tests: "failed" },
      ...{ new_failures: [one], removed_cases: [one], blocked_hosts: [evil], runs: [] },
      ...{ log_artifact_id: null, command: evil, tail: evil },
    } as const;
    const step = { index: 0, command: evil, status: "failed", duration_ms: 1, tail: evil } as const;
    const nothing = () => {};
    const options = [{ id: evil, name: evil, kind: "allow_once" }];
    const about = { title: evil, detail: `${evil}\n\n${evil}`, link: evil, link_host: evil };
    const question = { id: "q", task: { id: "t" }, options, schema: {}, ...about };
    const runRef = { project: 1, task: "t", run: "r" };
    await show(
      <>
        <title>{evil}</title>
        <Markdown text={evil} />
        <Markdown text={evil} isOpen />
        <InlineMarkdown text={evil} />
        {["form", "permission", "url"].flatMap((kind) => [
          <QuestionCard key={kind} question={{ ...question, kind } as never} />,
          <QuestionCard key={`${kind} in a list`} question={{ ...question, kind } as never} above="" />,
        ])}
        <Markdown text={reviewMessage([[comment, hunk?.lines ?? []]])} />
        <Terminal text={evil} label={evil} />
        <Terminal text={`\u001b[31m${evil}\u001b]8;;${evil}\u0007`} label="output" />
        {rows.map((row) => (
          <TranscriptRow key={row.id} row={row} />
        ))}
        <CheckRow check={check as never} files={[]} runRef={runRef} />
        <Step step={step} />
        <Result value={evil} />
        <Result value={{ [evil]: evil, more: [evil, { [evil]: evil }] }} />
        <Claims claims={[{ statement: evil, kind: "other", judgement: "claimed" } as never]} />
        <Ci ci={{ state: "failure", head_sha: evil, total: 1, failed: [evil], url: evil }} />
        <ChangedFile
          {...{
            index: 0,
            base: "start",
            mode: "split",
            hidesSpaces: false,
            found: null,
            view: "changed",
            patchPath: null,
            file,
            runRef,
          }}
          {...{
            comments: [{ ...comment, sent: "" }],
            onViewed: nothing,
            onGo: nothing,
            onComment: nothing,
            onDiscard: nothing,
            onResolve: nothing,
          }}
        />
      </>,
    );
    expect(() =>
      fieldsOf({ properties: { [evil]: { title: evil, enum: [evil] } }, required: [evil] }),
    ).not.toThrow();
  });
});
