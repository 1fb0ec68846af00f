// @vitest-environment jsdom
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import type { InboxRow, Run, Task, UserBasic } from "../api/types";
import { append, EMPTY } from "../transcript/append";
import { StateIcon, VerdictBadge } from "../ui/status";
import { countsText, reasonsInWords, reasonText, statusOf } from "./project/checks";
import { editorHref } from "./project/EditorLink";
import { blockingFirst, needsText, snoozeSeconds } from "./project/inbox";
import {
  filesAtStart,
  isBad,
  neverBegan,
  noChangesText,
  outputOf,
  reasonOf,
  runName,
  stateOf,
  tipOf,
  titleOf,
} from "./project/runState";
import { initialsOf, viewersByTask } from "./project/viewers";
import { Explanation } from "./questions/Explanation";
import { answeredText, closedText, optionForKey } from "./questions/question";
import { contentOf, fieldsOf, missingField } from "./questions/schema";
import { nextOf, whyNoPullRequest } from "./run/End";
import { waitingMessages, wayOf } from "./run/outbox";
import { groupTasks } from "./tasks/groups";

const run = (status: Run["status"], state: object = {}, more: object = {}) =>
  ({ id: `run-${status}`, status, state, completed_at: null, ...more }) as unknown as Run;
const task = (id: string, latest_run: Run | null, last_activity_at = "2026-01-01") =>
  ({ id, latest_run, last_activity_at, title: id }) as unknown as Task;

describe("a run without changes", () => {
  it("has changed no file only if its output says so", () => {
    const begun = { agent_started_at: "2026-01-01T00:00:00Z" };
    const text = (output: object | null) => noChangesText(run("cancelled", begun, { output }));
    expect(text({ files_changed: [] })).toBe("The run changed no file.");
  });

  it("may have some to come if a person has ended it", () => {
    const begun = { agent_started_at: "2026-01-01T00:00:00Z" };
    expect(noChangesText(run("cancelled", begun))).toMatch(/come within two minutes\.$/);
    expect(noChangesText(run("failed", begun))).toBe("No changes are stored.");
  });

  it("has changed none if its agent never began", () => {
    expect(noChangesText(run("failed"))).toBe("The run changed no file: its agent never began.");
    expect(noChangesText(run("failed", {}, { environment: "local" }))).toMatch(/^No changes are stored/);
  });
});

describe("a run that has lost its worker", () => {
  it("is started over", () => {
    const recovery = { decision: "failed", reason: "worker lost" };
    const lost = run("failed", { agent_started_at: "2026-01-01T00:00:00Z", recovery }, { artifacts: [] });
    expect(nextOf(lost)).toBe("again");
  });
});

describe("a new run that continues from an older one", () => {
  const of = (id: string, branch: string, earlier?: string) =>
    run("completed", { resume_from_run_id: earlier }, { id, output: { head_branch: branch } });

  it("goes on from what its branch has now", () => {
    const [first, second, failed] = [of("1", "a"), of("2", "a", "1"), of("3", "", "2")];
    const [fourth, anew] = [of("4", "a", "3"), of("5", "b")];
    const tips = (...runs: Run[]) => runs.map((one) => tipOf(one, runs).id);
    expect(tips(second, first)).toEqual(["2", "2"]);
    expect(tips(failed, second, first)).toEqual(["3", "2", "2"]);
    expect(tips(anew, fourth, failed, second, first)).toEqual(["5", "4", "4", "4", "4"]);
    expect(tipOf(first, []).id).toBe("1");
  });
});

describe("a file in the editor", () => {
  const editor = { scheme: "vscode", folder: "/home/me/src/{repository}/" };

  it("is in the clone of its repository, whatever its name", () => {
    const href = (path: string) => editorHref(editor, "acme/shop", path);
    expect(href("a b/ü#?.py")).toBe("vscode://file/home/me/src/acme/shop/a%20b/%C3%BC%23%3F.py");
    expect(href("../../etc/passwd")).toBeNull();
    expect(href("/etc/passwd")).toBeNull();
    expect(href("a\\..\\b")).toBeNull();
    expect(editorHref({ ...editor, scheme: "javascript" }, "acme/shop", "a")).toBeNull();
    expect(editorHref({ scheme: "zed", folder: "C:\\src" }, null, "a")).toBe("zed://file/C%3A/src/a");
  });
});

describe("an explanation", () => {
  const explained = (...kinds: string[]) =>
    renderToStaticMarkup(
      createElement(Explanation, {
        question: {
          kind: "permission",
          options: kinds.map((kind, index) => ({ id: `${index}`, name: `${index}`, kind })),
        } as InboxRow,
      }),
    );

  it("of a question with several answers says nothing of what one allows", () => {
    expect(explained("allow_once", "reject_once", "allow_once")).not.toMatch(/tool|allows/);
    expect(explained("allow_once", "reject_once")).toContain("allows this once");
  });
});

describe("an answer in words", () => {
  const options = [{ id: "x", name: "Allow once" }];
  const by = { first_name: "Ana", email: "ana@example.com" } as UserBasic;

  it("says which one counts, whose it is, and from where", () => {
    const given = { answer: { option_id: "x" }, answered_by: by, answered_via: "action_token" };
    expect(answeredText(given, options)).toBe("Answered by Ana by the link of a notice: Allow once");
    expect(answeredText({ answer: { action: "decline" } }, [])).toBe("Answered: decline");
    expect(answeredText({ answer: null, answered_via: "console" }, [])).toBe("Answered in the console.");
  });
});

describe("a question that is closed", () => {
  const closed = (more: object) => closedText({ kind: "permission", options: [], ...more } as never);

  it("and has expired was refused by no person", () => {
    const [opened_at, expires_at] = ["2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"];
    expect(closed({ status: "expired", opened_at, expires_at })).toBe(
      "Nobody answered in 5 minutes: counted as refused",
    );
    expect(closed({ status: "expired", kind: "message" })).toBe("Expired: no message came in time");
    expect(closed({ status: "withdrawn" })).toBe("Closed without an answer");
    expect(closed({ status: "answered", answer: { action: "accept" }, answered_via: "api" })).toBe(
      "Answered through the API: accept",
    );
  });
});

describe("a snooze", () => {
  it("does not outlast the question", () => {
    const seconds = (left: number) => snoozeSeconds({ expires_at: new Date(left * 1000).toISOString() }, 0);
    expect(seconds(7200)).toBe(3600);
    expect(seconds(14.5 * 60)).toBe(14 * 60);
    expect(seconds(30)).toBe(0);
    expect(snoozeSeconds({ expires_at: null })).toBe(3600);
  });
});

describe("groups of tasks", () => {
  it("put what asks first, and show a task once", () => {
    const asks = task("asks", run("in_progress", { waiting_for: { kind: "permission" } }));
    const idle = task("idle", run("in_progress", { waiting_for: { kind: "message" } }));
    const works = task("works", run("in_progress"));
    const second = task("second", run("queued", { queue_position: 2 }));
    const first = task("first", run("queued", { queue_position: 1 }));
    const ended = task("ended", run("completed"));
    const failed = task("failed", run("failed"), "2025-12-31");
    const draft = task("draft", null);
    const others = task("others", run("in_progress", { waiting_for: { kind: "form" } }), "2025-12-31");
    const groups = groupTasks(
      [
        [draft, ended, failed, second, first, works, idle, others, asks],
        [works, asks],
      ],
      new Set(["ended", "failed", "works"]),
      new Set(["idle", "asks"]),
    );
    expect(groups.map(({ name, tasks }) => [name, tasks.map(({ id }) => id)])).toEqual([
      // What failed unseen stood below all that works.
      ["needs", ["idle", "asks", "failed"]],
      ["running", ["works", "others"]],
      ["queued", ["first", "second"]],
      ["unseen", ["ended"]],
      ["rest", ["draft"]],
    ]);
    expect(groups.map(({ unseen }) => unseen.map(({ id }) => id)).filter(({ length }) => length)).toEqual([
      ["failed"],
      ["ended"],
    ]);
  });
});

it("cuts a title that the service has cut in the middle of a word at one", () => {
  const first = "Round the prices of apples and pears to whole cents before they are shown";
  expect(titleOf({ title: `${first.slice(0, 57)}...` })).toBe(`${first.slice(0, 51)} …`);
  expect(titleOf({ title: "Wait for it..." })).toBe("Wait for it...");
  expect(titleOf({ title: "" })).toBe("Untitled task");
});

describe("the state of a run", () => {
  it("shows no marks of Markdown in a question", () => {
    const asks = (title: string) =>
      reasonOf(run("in_progress", { waiting_for: { kind: "form", tool_call: { title } } }));
    expect(asks("Keep the **old** `index.md` of a*b and __init__?")).toBe(
      "Keep the old index.md of a*b and __init__?",
    );
  });

  it("names the files of its start, not those that were attached to a message since", () => {
    const artifacts = ["a", "b"].map((id) => ({ id, name: `${id}.txt`, type: "user_attachment" }));
    const started = (ids?: string[]) =>
      filesAtStart(run("in_progress", ids ? { pending_user_artifact_ids: ids } : {}, { artifacts }));
    expect(started(["a"])).toEqual(["a.txt"]);
    expect(started()).toEqual([]);
  });

  it("says whether there is anything to continue", () => {
    const began = { agent_started_at: "2026-01-01T00:00:00Z" };
    expect([{}, began].map((state) => neverBegan(run("failed", state)))).toEqual([true, false]);
    expect(neverBegan(run("failed", {}, { environment: "local" }))).toBe(false);
    expect(neverBegan(run("queued"))).toBe(false);
  });

  it("has its reason", () => {
    expect(reasonOf(run("queued", { queue_position: 1 }))).toBe("Next for a free worker");
    expect(reasonOf(run("queued", { queue_position: 22 }))).toBe("Place 22 in the queue for a worker");
    const limited = { queue_position: 4, waits_for: "limit" };
    expect(reasonOf(run("queued", limited))).toBe("Place 4 in the queue: the project is at its limit");
    expect(reasonOf(run("queued", { ...limited, queue_position: 1 }))).toBe(
      "Next, when a run of the project ends; runs that wait for you count, too",
    );
    const recovery = { decision: "queued again", reason: "worker lost" };
    expect(reasonOf(run("in_progress", { attempts: 2, recovery }))).toBe(
      "Recovered: its worker was lost (attempt 2)",
    );
    expect(reasonOf(run("queued", { queue_position: 2, recovery }))).toBe(
      "Recovered: its worker was lost · Place 2 in the queue for a worker",
    );
    expect(reasonOf(run("in_progress", { waiting_for: { kind: "message" }, attempts: 2, recovery }))).toBe(
      "The agent has finished its turn · Recovered: its worker was lost (attempt 2)",
    );
    expect(reasonOf(run("completed", { missed_questions: 1 }))).toBe("1 question expired");
    const failure = "The agent's turn failed: Step 3 ended with exit status 128.";
    const idle = run("in_progress", { waiting_for: { kind: "message", failure } });
    expect([reasonOf(idle), isBad(idle)]).toEqual([failure, true]);
    const reasons = [
      { code: "new_failures", check: "tests", detail: "exit code 1" },
      { code: "check_failed", check: "docs", detail: "exit code 2" },
    ];
    const verification = { verdict: "refuted", waived: false, reasons, checks: [] };
    expect(reasonOf(run("completed", {}, { verification }))).toBe(
      "tests: it fails where the base does not · docs: it fails",
    );
    const asked =
      "tests: new failures: exit code 1\nlint: check error: missing_tool\ncheck error\nflaky: flaky";
    expect(reasonsInWords(asked)).toBe(
      "tests: it fails where the base does not (exit code 1)\nlint: a program is missing\n" +
        "It shows nothing about the work\nflaky: it fails at one time and passes at another",
    );
    expect(reasonsInWords("Anything: else")).toBe("Anything: else");
    const doubt = (verdict: string, more: object) =>
      reasonOf(
        run("completed", {}, { verification: { verdict, waived: false, reasons: [], checks: [], ...more } }),
      );
    const rewritten = {
      checks: [
        { id: "lint", old_tests: "passed" },
        { id: "tests", old_tests: "failed" },
      ],
    };
    expect(doubt("verified", rewritten)).toBe("tests: the old tests fail");
    expect(doubt("verified", { ...rewritten, waived: true })).toBeNull();
    const missing = { code: "check_error", check: "lint", detail: "missing_tool: ruff" };
    const late = { code: "check_timeout", check: "tests", detail: "" };
    expect(doubt("inconclusive", { reasons: [missing, late] })).toBe(
      "lint: a program is missing · tests: it did not end in its time",
    );
    const lost = { decision: "failed", reason: "worker lost" };
    const failed = run("failed", { recovery: lost }, { error_message: "Lost.\nMore" });
    expect([reasonOf(failed), isBad(failed)]).toEqual(["Lost.", true]);
    const lines = { error_message: "Step 1 ended with exit status 3. Its last lines:\nno" };
    expect(reasonOf(run("failed", {}, lines))).toBe("Step 1 ended with exit status 3.");
    expect(stateOf(run("in_progress", { waiting_for: { kind: "form" } }))).toBe("question");
    const inconclusive = { verdict: "inconclusive", waived: false };
    expect(stateOf(run("completed", {}, { verification: inconclusive }))).toBe("inconclusive");
    const waived = { ...inconclusive, waived: true };
    expect(stateOf(run("completed", {}, { verification: waived }))).toBe("completed");
  });
});

describe("what a run has delivered", () => {
  const delivered = (output: unknown, state: object = {}) => outputOf(run("completed", state, { output }));

  it("is that of its output, or of its state where the output is structured", () => {
    const pr_url = "https://github.com/acme/shop/pull/7";
    expect(delivered({ head_branch: "a", files_changed: ["b"], pr_url })).toMatchObject({
      ...{ branch: "a", pullRequest: pr_url, files: 1 },
    });
    const structured = { head_branch: { evil: 1 }, pr_url: "javascript:alert(1)", files_changed: "none" };
    expect(delivered(structured)).toMatchObject({ branch: "", pullRequest: "", files: null });
    expect(delivered([1], { head_branch: "a", pr_url })).toMatchObject({ branch: "a", pullRequest: pr_url });
  });

  it("says why it is no pull request", () => {
    const why = (status: Run["status"], output: object | null, more: object = {}) =>
      whyNoPullRequest({ repository: "acme/shop" }, run(status, {}, { output, ...more }));
    expect(why("completed", { head_branch: "a", pr_error: "GitHub refused it." })).toBe("GitHub refused it.");
    expect(why("completed", { head_branch: "a" })).toMatch(/no access to the API of its code host/);
    expect(why("failed", null)).toBe("No branch was pushed, since the run failed.");
    expect(why("completed", null, { environment: "local" })).toMatch(/a client performed the run/);
    expect(whyNoPullRequest({ repository: null }, run("completed"))).toMatch(/the task has no repository/);
  });
});

describe("the next step after a run", () => {
  const next = (status: Run["status"], files: number, more: object = {}) =>
    nextOf(
      run(
        status,
        { changes: { files, additions: 1, deletions: 0 }, agent_started_at: "t" },
        { artifacts: [], ...more },
      ),
    );

  it("is one", () => {
    const verification = (verdict: string, waived = false) => ({ verification: { verdict, waived } });
    expect(next("completed", 2, verification("inconclusive"))).toBe("check");
    expect(next("completed", 2, verification("refuted"))).toBe("check");
    expect(next("completed", 2, verification("refuted", true))).toBe("changes");
    expect(next("completed", 2, verification("verified"))).toBe("changes");
    expect(next("failed", 0)).toBe("task");
    expect(next("completed", 0)).toBe("message");
    expect(nextOf(run("cancelled", {}, { artifacts: [] }))).toBe("again");
    const artifacts = [{ name: "changes.patch", type: "output" }];
    expect(next("completed", 0, { artifacts })).toBe("changes");
  });
});

describe("the look of a run", () => {
  const looks = (verdict: string | null) =>
    renderToStaticMarkup(
      createElement("p", {}, [
        createElement(StateIcon, { key: 1, state: "completed" }),
        createElement(VerdictBadge, { key: 2, of: verdict ? ({ verdict, waived: false } as never) : null }),
      ]),
    );

  it("is that of a success only if its work was verified", () => {
    expect(looks("verified")).toContain("success");
    for (const verdict of ["claimed", "inconclusive", "refuted", null])
      expect(looks(verdict)).not.toContain("success");
  });
});

describe("the badge of work whose tests were changed", () => {
  const badge = (verdict: string, changed_tests: string[]) =>
    renderToStaticMarkup(
      createElement(VerdictBadge, { of: { verdict, waived: false, changed_tests } as never }),
    );

  it("says so, and is not that of a success", () => {
    expect(badge("verified", ["tests/a.py"])).toMatch(/attention.*Verified · tests changed/);
    expect(badge("verified", [])).toMatch(/success.*>Verified</);
    expect(badge("refuted", ["tests/a.py"])).toMatch(/>Refuted</);
  });

  it("names the checks that prove the work", () => {
    const check = (id: string, status: string, gate = "strict") => ({ id, status, gate });
    const checks = [
      check("tests", "passed"),
      check("lint", "passed", "informational"),
      check("docs", "skipped"),
    ];
    const title = (verdict: string) =>
      renderToStaticMarkup(createElement(VerdictBadge, { of: { verdict, waived: false, checks } as never }));
    expect(title("verified")).toContain('title="Passed: tests"');
    expect(title("refuted")).not.toContain("title");
    checks.splice(0, 1, check("tests", "failed_before"));
    expect(title("verified")).not.toContain("title");
  });
});

describe("the checks of a run", () => {
  it("are its state while it waits for them", () => {
    expect(stateOf(run("in_progress", {}, { stage: "verifying" }))).toBe("checking");
    expect(stateOf(run("completed", {}, { stage: "verifying" }))).toBe("completed");
  });

  it("have reasons and causes in words", () => {
    const reason = (code: string, detail: string) => reasonText({ code, check: "tests", detail });
    expect(reason("new_failures", "shop > a")).toEqual({
      text: "It fails where the base does not.",
      detail: "shop > a",
    });
    expect(reason("check_error", "network_blocked: a.example, b.example")).toEqual({
      text: "It shows nothing about the work: hosts were blocked.",
      detail: "a.example, b.example",
    });
    expect(reason("new_word", "")).toEqual({ text: "new_word", detail: "" });
    expect(statusOf({ status: "error", cause: "missing_tool" } as never).word).toBe(
      "Error: a program is missing",
    );
  });

  it("do not look as passed where the old tests fail", () => {
    const check = { status: "passed", cause: null, old_tests: "failed" } as const;
    expect(statusOf(check)).toEqual({ word: "Passed; the old tests fail", tone: "attention" });
    expect(statusOf({ ...check, old_tests: "passed" }).tone).toBe("success");
  });

  it("are no questions of an agent in the inbox", () => {
    const rows = (...kinds: string[]) => kinds.map((kind) => ({ kind })) as InboxRow[];
    const results = rows("verdict", "permission", "verdict", "message");
    expect(needsText({ count: 4, open_count: 3, results })).toBe(
      "1 question, 2 verdicts to judge, 1 agent waits for a message",
    );
  });

  // A question with a deadline stood below older verdicts.
  it("stand in the inbox below what blocks an agent, which is sorted by deadline", () => {
    const row = (id: string, kind: string, expires_at: string | null = null, status = "open") =>
      ({ id, kind, status, expires_at }) as InboxRow;
    const rows = [
      row("missed", "permission", "2026-12-01T08:00:00Z", "expired"),
      row("idle", "message", "2026-12-01T10:00:00Z"),
      row("verdict", "verdict"),
      row("form", "form"),
      row("late", "permission", "2026-12-01T12:00:00Z"),
      row("soon", "permission", "2026-12-01T11:00:00Z"),
    ];
    const order = ["soon", "late", "form", "verdict", "idle", "missed"];
    expect(blockingFirst(rows).map(({ id }) => id)).toEqual(order);
  });

  it("count the cases that there are", () => {
    const counts = { passed: 3, failed: 2, skipped: 0, new: 1, fixed: 0, removed: 1 };
    expect(countsText(counts)).toBe("3 passed, 2 failed, 1 new, 1 removed");
  });
});

describe("runs of one task", () => {
  it("are counted from the oldest, as on the page of the run", () => {
    const runs = { count: 2, results: [{ id: "second" }, { id: "first" }] as Run[] };
    expect(["first", "second", "other"].map((id) => runName(runs, id))).toEqual(["Run 1", "Run 2", null]);
  });

  it("are counted from the oldest where there are more than a page of them", () => {
    const runs = { count: 250, results: [{ id: "last" }, { id: "before" }] as Run[] };
    expect(runName(runs, "before")).toBe("Run 249");
  });
});

describe("options of a question", () => {
  const options = [
    { id: "n", name: "No", kind: "reject_once" },
    { id: "always", name: "Always", kind: "allow_always" },
    { id: "y", name: "Yes", kind: "allow_once" },
  ];

  it("are chosen by keys, and none allows for ever by `a`", () => {
    expect(optionForKey(options, "a")?.id).toBe("y");
    expect(optionForKey(options, "r")?.id).toBe("n");
    expect(optionForKey(options, "2")?.id).toBe("always");
    expect(optionForKey(options.slice(0, 2), "a")).toBeUndefined();
  });
});

describe("forms", () => {
  const schema = {
    properties: {
      question_0: { type: "string", title: "Database", oneOf: [{ const: "pg", title: "PostgreSQL" }] },
      question_1: { type: "array", items: { anyOf: [{ const: "a" }, { const: "b" }] } },
      count: { type: "integer", default: 3 },
      sure: { type: "boolean" },
      note: { type: "string" },
    },
    required: ["question_0"],
  };

  it("are read from their schema", () => {
    expect(fieldsOf(schema).map(({ name, type, initial }) => [name, type, initial])).toEqual([
      ["question_0", "choice", ""],
      ["question_1", "choices", []],
      ["count", "number", "3"],
      ["sure", "boolean", false],
      ["note", "text", ""],
    ]);
  });

  it("show every field once, an answer of one's own below its question", () => {
    const names = ["q_0", "q_1", "q_0_custom", "q_1_custom", "q_0_custom_custom", "constructor_custom"];
    const properties = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
    expect(fieldsOf({ properties }).map(({ name }) => name)).toEqual([
      "q_0",
      "q_0_custom",
      "q_1",
      "q_1_custom",
      "q_0_custom_custom",
      "constructor_custom",
    ]);
  });

  it("send what was filled in, in its type", () => {
    const fields = fieldsOf(schema);
    const values = { question_0: "pg", question_1: ["b"], count: "4", sure: true, note: "" };
    expect(contentOf(fields, values)).toEqual({ question_0: "pg", question_1: ["b"], count: 4, sure: true });
    expect(missingField(fields, { ...values, question_0: "" })?.name).toBe("question_0");
  });
});

describe("messages on their way", () => {
  const written = { text: "Hi", files: [], isKept: false, artifactIds: [] };
  const message = { ...written, id: "mine", at: "", problem: null };
  const said = (method: string, params: object) =>
    Object({ type: "notification", timestamp: "t", notification: { method, params } });
  const receipt = (status: string) =>
    said("_taskbeacon/command", { command_id: "c", method: "user_message", id: "mine", status });
  const content = { type: "text", text: "Hi" };
  const update = { sessionUpdate: "user_message_chunk", messageId: "c", content };
  const shown = said("session/update", { update });

  it("are shown with their receipt until the transcript has them", () => {
    const status = (entries: unknown[]) =>
      waitingMessages([message], [], append(EMPTY, entries)).map((one) => one.receipt.status);
    expect(status([])).toEqual(["sending"]);
    expect(status([receipt("accepted")])).toEqual(["accepted"]);
    expect(status([receipt("accepted"), receipt("delivered"), shown])).toEqual([]);
    // The transcript has it then.
    expect(status([receipt("dropped")])).toEqual([]);
  });

  it("of another device are shown, too, and go when somebody takes them back", () => {
    const queued = { ...message, queued: "c" };
    const transcript = append(EMPTY, [receipt("accepted")]);
    for (const own of [[], [message]])
      expect(waitingMessages(own, [queued], transcript)).toMatchObject([
        { message: { text: "Hi", queued: "c" }, receipt: { status: "accepted" } },
      ]);
    const params = {
      command_id: "c",
      method: "user_message",
      id: "mine",
      status: "dropped",
      reason: "cleared",
    };
    const cleared = append(transcript, [said("_taskbeacon/command", params)]);
    expect(waitingMessages([message], [], cleared)).toEqual([]);
  });

  it("leave the comments that they are made of with the person until the agent has read them", () => {
    const way = (list: [] | [typeof message], entries: unknown[], isOver = false) =>
      wayOf(message.id, list, append(EMPTY, entries), isOver);
    // The page that has sent them, and another device.
    for (const list of [[message], []] as const) {
      expect(way([...list], [])).toBe("away");
      expect(way([...list], [receipt("accepted")])).toBe("away");
      expect(way([...list], [receipt("dropped")])).toBe("back");
      expect(way([...list], [receipt("accepted")], true)).toBe("back");
      expect(way([...list], [receipt("consumed")], true)).toBe("read");
    }
    const refused = { ...message, problem: "Refused" };
    expect(wayOf(message.id, [refused], EMPTY, false)).toBe("back");
  });
});

describe("people who look", () => {
  const person = (id: number, first_name: string) =>
    ({ id, first_name, last_name: "", email: "x@y" }) as never;

  it("are listed by task, without the reader", () => {
    const found = viewersByTask(
      [
        { task: "a", user: person(1, "Ana") },
        { task: "a", user: person(2, "Bo") },
        { task: "b", user: person(1, "Ana") },
      ],
      1,
    );
    expect([...found].map(([task, people]) => [task, people.map(({ id }) => id)])).toEqual([["a", [2]]]);
  });

  it("are named in words, and short as initials", () => {
    expect(["Ana Example", "ada@example.com", "Cy"].map(initialsOf)).toEqual(["AE", "AE", "C"]);
  });
});
