import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { append, EMPTY, type Transcript } from "./append";
import { ended } from "./ended";
import type { Item, ToolItem } from "./items";
import { Rows, titleOfSteps } from "./rows";

/** Frames of a stream as they were recorded: the data of each line, in order. */
function recording(name: string): unknown[] {
  return readFileSync(join(import.meta.dirname, "recordings", `${name}.jsonl`), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const said = (method: string, params: object) => ({
  type: "notification",
  timestamp: "2026-01-01T00:00:00.000Z",
  notification: { jsonrpc: "2.0", method, params },
});

const update = (fields: object) => said("session/update", { sessionId: "s", update: fields });

const texts = (sessionUpdate: string) => (text: string, messageId?: string) =>
  update({ sessionUpdate, content: { type: "text", text }, ...(messageId ? { messageId } : {}) });
const [chunk, whole] = [texts("agent_message_chunk"), texts("agent_message")];

const read = (values: unknown[], from: Transcript = EMPTY) => append(from, values);
const kinds = (transcript: Transcript) => transcript.items.map(({ kind }) => kind);
const tools = (transcript: Transcript) =>
  transcript.items.filter((item): item is ToolItem => item.kind === "tool");

describe("a run that is over", () => {
  it("waits for no answer to a question that was withdrawn with it", () => {
    const asked = said("_posthog/permission_request", { requestId: "q", toolCall: { title: "Go on?" } });
    const { items } = read([asked]);
    expect(items).toMatchObject([{ kind: "question", state: "open" }]);
    expect(ended(items)).toMatchObject([{ kind: "question", state: "closed" }]);
  });

  it("has no call that runs and no message that grows", () => {
    const call = { sessionUpdate: "tool_call", status: "in_progress", kind: "execute" };
    const { items } = read([
      update({ ...call, toolCallId: "a" }),
      update({ ...call, toolCallId: "b", status: "completed" }),
      chunk("I am about to"),
    ]);
    const over = ended(items);
    expect(over).toMatchObject([{ status: "cancelled" }, { status: "completed" }, { isOpen: false }]);
    expect(over[1]).toBe(items[1]);
  });
});

describe("a call without an end", () => {
  const call = update({
    sessionUpdate: "tool_call",
    toolCallId: "a",
    status: "in_progress",
    kind: "execute",
  });

  it("is cancelled with its turn", () => {
    const turn = (stopReason: string) =>
      tools(read([call, said("_posthog/turn_complete", { stopReason })]))[0]?.status;
    expect(turn("cancelled")).toBe("cancelled");
    expect(turn("end_turn")).toBe("in_progress");
  });

  it("is cancelled by the next attempt at the run", () => {
    const again = said("_taskbeacon/progress", { step: "clone", message: "Cloning" });
    const other = said("_taskbeacon/progress", { step: "agent", message: "A note" });
    expect(tools(read([call, other]))[0]?.status).toBe("in_progress");
    expect(tools(read([call, again]))[0]?.status).toBe("cancelled");
    const kinds = (entries: unknown[]) => read(entries).items.map(({ kind }) => kind);
    expect(kinds([again, again, call, again, again])).toEqual(["steps", "tool", "note", "steps"]);
  });
});

describe("messages of the agent", () => {
  it("grow by their pieces, and are open until they are whole", () => {
    const growing = read([chunk("Hel", "m1"), chunk("lo", "m1")]);
    expect(growing.items).toMatchObject([{ kind: "agent", text: "Hello", isOpen: true }]);
    const done = read([whole("Hello", "m1")], growing);
    expect(done.items).toMatchObject([{ kind: "agent", text: "Hello", isOpen: false }]);
  });

  it("without an id are one message until something else comes", () => {
    const transcript = read([chunk("a"), chunk("b"), whole("ab"), chunk("c"), whole("c")]);
    expect(transcript.items.map((item) => "text" in item && item.text)).toEqual(["ab", "c"]);
  });

  it("that are whole do not grow again when their pieces are read once more", () => {
    const transcript = read([whole("Hello", "m1"), chunk("Hel", "m1"), chunk("lo", "m1")]);
    expect(transcript.items).toMatchObject([{ text: "Hello", isOpen: false }]);
    expect(transcript.items).toHaveLength(1);
  });

  it("that are stored in several entries are one, with what is not stored yet", () => {
    const at = (seconds: number, entry: object) => ({
      ...entry,
      timestamp: `2026-01-01T00:00:0${seconds}.000Z`,
    });
    const first = [at(1, chunk("Hel", "m1")), at(4, whole("Hel", "m1"))];
    const more = [at(5, chunk("lo", "m1"))];
    const growing = read([...first, ...first, ...more]);
    expect(growing.items).toMatchObject([{ text: "Hello", isOpen: true }]);
    const done = read([at(6, whole("lo.", "m1")), ...more], growing);
    expect(done.items).toMatchObject([{ text: "Hello.", isOpen: false }]);
    expect(done.items).toHaveLength(1);
  });

  it("leave the transcript that they were appended to as it was", () => {
    const before = read([chunk("a", "m")]);
    const copy = structuredClone(before.items);
    read([chunk("b", "m")], before);
    expect(before.items).toEqual(copy);
  });
});

describe("tool calls", () => {
  const call = (fields: object) => update({ sessionUpdate: "tool_call", toolCallId: "t", ...fields });
  const change = (fields: object) =>
    update({ sessionUpdate: "tool_call_update", toolCallId: "t", ...fields });
  const printed = (text: string) => [{ type: "content", content: { type: "text", text } }];

  it("collect what is printed piece by piece, and take the whole at the end", () => {
    const running = read([
      call({ title: "make", kind: "execute", status: "in_progress" }),
      change({ status: "in_progress", content: printed("one\n") }),
      change({ status: "in_progress", content: printed("two\n") }),
    ]);
    expect(tools(running)[0]).toMatchObject({ output: "one\ntwo\n", status: "in_progress" });
    const ended = read([change({ status: "completed", content: printed("one\ntwo\nthree\n") })], running);
    expect(tools(ended)[0]).toMatchObject({ output: "one\ntwo\nthree\n", status: "completed" });
  });

  it("of agents that repeat their output do not double it", () => {
    const transcript = read([
      call({ kind: "execute" }),
      change({ status: "in_progress", content: printed("one\n") }),
      change({ status: "in_progress", content: printed("one\ntwo\n") }),
    ]);
    expect(tools(transcript)[0]?.output).toBe("one\ntwo\n");
  });

  it("take terminal output and exit statuses from _meta", () => {
    const transcript = read([
      call({ kind: "execute" }),
      change({ _meta: { terminal_output: { data: "a" } } }),
      change({ _meta: { terminal_output: { data: "b" }, terminal_exit: { exit_code: 2 } } }),
    ]);
    expect(tools(transcript)[0]).toMatchObject({ output: "ab", exitStatus: 2 });
  });

  it("take a raw output whose keys are indices", () => {
    const transcript = read([call({}), change({ status: "completed", rawOutput: { 0: "o", 1: "k" } })]);
    expect(tools(transcript)[0]?.output).toBe("ok");
  });

  it("that have ended stay so when a late piece comes", () => {
    const transcript = read([call({}), change({ status: "failed" }), change({ status: "in_progress" })]);
    expect(tools(transcript)[0]?.status).toBe("failed");
  });

  it("keep diffs and the parent of a subagent's call", () => {
    const edit = [{ type: "diff", path: "/w/a.py", oldText: "a", newText: "b" }];
    const meta = { claudeCode: { parentToolUseId: "p" } };
    const transcript = read([
      call({ kind: "edit", _meta: meta }),
      change({ status: "completed", content: edit }),
    ]);
    expect(tools(transcript)[0]).toMatchObject({
      parentId: "tool:p",
      diffs: [{ path: "/w/a.py", oldText: "a", newText: "b" }],
    });
  });

  it("that are changed before they are introduced are shown", () => {
    const transcript = read([change({ status: "in_progress", title: "make" })]);
    expect(tools(transcript)).toMatchObject([{ title: "make", status: "in_progress" }]);
  });
});

describe("messages of people", () => {
  const receipt = (status: string, fields: object = {}) =>
    said("_taskbeacon/command", { command_id: "c1", method: "user_message", id: "mine", status, ...fields });
  const message = update({
    sessionUpdate: "user_message_chunk",
    messageId: "c1",
    content: { type: "text", text: "Go on" },
  });

  it("carry their receipt, in whatever order the steps are read", () => {
    const transcript = read([receipt("accepted"), message, receipt("consumed"), receipt("delivered")]);
    expect(transcript.items).toMatchObject([
      { kind: "user", text: "Go on", receipt: { status: "consumed" } },
    ]);
    expect(transcript.commandIds.get("mine")).toBe("c1");
  });

  it("say why they were dropped", () => {
    const transcript = read([receipt("accepted"), receipt("dropped", { reason: "the run has ended" })]);
    const ungiven = { status: "dropped", reason: "the run has ended", isUngiven: true };
    expect(transcript.receipts.get("c1")).toEqual(ungiven);
    // A message that was queued still was said to be "not completed by the agent".
    const given = read([receipt("accepted"), receipt("delivered"), receipt("dropped")]);
    expect(given.receipts.get("c1")).toEqual({ status: "dropped", reason: "" });
  });

  it("stand where they were lost, though only their receipts have them", () => {
    const lost = receipt("dropped", { reason: "The run is failed.", text: "Go on", artifact_ids: ["f"] });
    // The worker that was lost has not even said that it took it.
    for (const entries of [[lost], [receipt("accepted"), lost, lost]])
      expect(read(entries).items).toMatchObject([
        { id: "user:c1", text: "Go on", files: ["f"], receipt: { status: "dropped", isUngiven: true } },
      ]);
    expect(read([receipt("accepted"), receipt("dropped", { reason: "cleared" })]).items).toEqual([]);
    const stopped = read([receipt("accepted"), receipt("delivered"), message, lost]);
    expect(stopped.items).toMatchObject([{ text: "Go on", files: [], receipt: { status: "dropped" } }]);
    expect(stopped.receipts.get("c1")?.isUngiven).toBeUndefined();
  });

  it("are given to an agent that begins again, though they were lost with the one before", () => {
    const lost = receipt("dropped", {
      reason: "The run's agent has ended.",
      text: "Go on",
      artifact_ids: [],
    });
    const again = read([lost, receipt("accepted"), receipt("delivered"), message, receipt("consumed")]);
    expect(again.items).toMatchObject([{ text: "Go on", receipt: { status: "consumed" } }]);
    expect(read([lost, receipt("accepted")]).receipts.get("c1")?.status).toBe("dropped");
  });

  it("are one item with their files", () => {
    const file = update({
      sessionUpdate: "user_message_chunk",
      messageId: "c1",
      content: { type: "resource_link", name: "log.txt", uri: "file:///w/log.txt", size: 3 },
    });
    expect(read([message, file]).items).toMatchObject([{ text: "Go on", files: ["log.txt"] }]);
  });
});

describe("questions", () => {
  const asked = said("_posthog/permission_request", {
    requestId: "q",
    toolCallId: "t",
    toolCall: { title: "Deploy?" },
    options: [
      { optionId: "y", name: "Yes", kind: "allow_once" },
      { optionId: "n", name: "No", kind: "reject_once" },
    ],
  });

  it("are open until they are resolved", () => {
    expect(read([asked]).items).toMatchObject([{ kind: "question", title: "Deploy?", state: "open" }]);
    const answered = read([asked, said("_posthog/permission_resolved", { requestId: "q", optionId: "n" })]);
    expect(answered.items).toMatchObject([{ state: "answered", answer: "No" }]);
    const closed = read([asked, said("_posthog/permission_resolved", { requestId: "q" })]);
    expect(closed.items).toMatchObject([{ state: "closed", answer: "" }]);
  });

  it("that nobody was asked are shown with what was taken, and not as a tool", () => {
    const call = (id: string, kind: string) =>
      update({ sessionUpdate: "tool_call", toolCallId: id, title: "Go on?", kind, status: "in_progress" });
    const decided = (id: string, name: string | null) =>
      said("_taskbeacon/decided", { toolCallId: id, optionId: name, name });
    const all = [call("t", "other"), decided("t", "Yes"), call("u", "edit"), decided("u", "Allow")];
    const rows = new Rows().of(read([...all, decided("t", "Yes")]).items, true);
    expect(rows).toMatchObject([
      { kind: "question", title: "Go on?", state: "unasked", answer: "Yes" },
      { kind: "tool", toolKind: "edit" },
    ]);
  });

  it("that allow a call say that it runs, of agents that do not", () => {
    const call = update({ sessionUpdate: "tool_call", toolCallId: "t", title: "Deploy", status: "pending" });
    const status = (...values: unknown[]) =>
      read([call, asked, ...values]).items.find(({ kind }) => kind === "tool");
    const answer = (optionId: string) => said("_posthog/permission_resolved", { requestId: "q", optionId });
    expect(status()).toMatchObject({ status: "pending" });
    expect(status(answer("y"))).toMatchObject({ status: "in_progress" });
    expect(status(answer("n"))).toMatchObject({ status: "pending" });
    const done = update({ sessionUpdate: "tool_call_update", toolCallId: "t", status: "completed" });
    expect(status(done, answer("y"))).toMatchObject({ status: "completed" });
  });

  it("are shown once, however often they are read", () => {
    expect(read([asked, asked]).items).toHaveLength(1);
  });
});

describe("the rest", () => {
  it("keeps one plan in a turn, at the place where it was made", () => {
    const plan = (status: string) =>
      update({ sessionUpdate: "plan", entries: [{ content: "Read", status, priority: "high" }] });
    const transcript = read([plan("pending"), chunk("x", "m"), plan("completed")]);
    expect(kinds(transcript)).toEqual(["plan", "agent"]);
    expect(transcript.standing.plan).toMatchObject([{ text: "Read", status: "completed" }]);
  });

  it("knows commands, options, usage and the mode", () => {
    const { standing } = read([
      update({ sessionUpdate: "available_commands_update", availableCommands: [{ name: "review" }] }),
      update({
        sessionUpdate: "config_option_update",
        configOptions: [
          { id: "model", name: "Model", currentValue: "a", options: [{ value: "a", name: "A" }] },
        ],
      }),
      update({ sessionUpdate: "usage_update", used: 10, size: 100, cost: { amount: 0.5, currency: "USD" } }),
      update({ sessionUpdate: "current_mode_update", currentModeId: "plan" }),
    ]);
    expect(standing).toMatchObject({
      commands: [{ name: "review" }],
      config: [{ id: "model", value: "a", choices: [{ id: "a", name: "A" }] }],
      usage: { used: 10, size: 100, cost: 0.5 },
      mode: "plan",
    });
  });

  it("draws gaps, errors and turns", () => {
    const transcript = read([
      chunk("x", "m"),
      { type: "gap", lost: 214 },
      said("_posthog/error", { message: "No key" }),
      said("_posthog/turn_complete", { stopReason: "end_turn" }),
    ]);
    expect(transcript.items).toMatchObject([
      { kind: "agent", isOpen: false },
      { kind: "gap", lost: 214 },
      { kind: "note", tone: "error", text: "No key" },
      { kind: "turn", stopReason: "end_turn" },
    ]);
  });

  it("takes entries of any shape without failing", () => {
    const odd = [
      null,
      1,
      "x",
      [],
      {},
      { type: 1 },
      said("session/update", { update: 5 }),
      update({ sessionUpdate: 7 }),
    ];
    const broken = [
      update({ sessionUpdate: "tool_call", toolCallId: 3, content: "x", locations: {} }),
      update({ sessionUpdate: "plan", entries: { length: 3 } }),
      update({ sessionUpdate: "agent_message_chunk", content: null }),
      update({ sessionUpdate: "config_option_update", configOptions: [null, { options: [null] }] }),
      said("_posthog/permission_request", { options: "all" }),
    ];
    expect(() => read([...odd, ...broken])).not.toThrow();
  });
});

describe.each(["question", "hello", "failure", "claude", "codex"])("the recorded run %s", (name) => {
  const values = recording(name);

  it("gives the same items in one batch and event by event", () => {
    const atOnce = read(values);
    const oneByOne = values.reduce<Transcript>((transcript, value) => read([value], transcript), EMPTY);
    expect(oneByOne.items).toEqual(atOnce.items);
    expect(oneByOne.standing).toEqual(atOnce.standing);
  });

  it("is what a person should see", () => {
    expect(summary(read(values).items)).toMatchSnapshot();
  });
});

/** An item in a line: what of it is shown, without ids and times. */

it("knows how much the run has changed", () => {
  const changes = { files: 2, additions: 3, deletions: 1, tree: "a" };
  const frame = { type: "run.changes", ...changes, at: "2026-01-01T00:00:00.000Z" };
  const after = append(EMPTY, [frame, { ...frame, files: "many", tree: "b" }]);
  expect(append(EMPTY, [frame]).standing.changes).toEqual(changes);
  expect(after.standing.changes).toEqual({ ...changes, files: 0, tree: "b" });
  expect(after.items).toEqual([]);
});

function summary(items: readonly Item[]): string[] {
  return items.map((item) => {
    switch (item.kind) {
      case "tool":
        return `tool ${item.toolKind} ${item.status} ${item.title} | ${item.diffs.map(({ path }) => path)} | ${item.output.length} characters`;
      case "question":
        return `question ${item.state} ${item.title} | ${item.answer}`;
      case "user":
        return `user ${item.text} | ${item.receipt?.status}`;
      case "steps":
        return `steps ${item.steps.length}`;
      case "agent":
        return `agent ${item.isOpen} ${item.text}`;
      case "turn":
        return `turn ${item.stopReason}`;
      default:
        return item.kind;
    }
  });
}

it("leaves no step under way when the run is over", () => {
  const steps = (...texts: string[]) =>
    texts.map((message) => said("_taskbeacon/progress", { step: "agent", message }));
  const message = said("_taskbeacon/relay_message", { text: "Running tests" });
  const all = [
    ...steps("Cloning https://example.com/a", "Starting the agent 'x'", "Taskbeacon ended the set-up"),
    message,
    ...steps("Running tests…", "Check tests (result): started"),
  ];
  expect(ended(read(all).items)).toMatchObject([
    { kind: "steps", steps: ["Taskbeacon ended the set-up"] },
    { kind: "agent", text: "Running tests" },
  ]);
});

describe("the title of steps", () => {
  const line = (check: string, side: string, word: string) => `Check ${check} (${side}): ${word}`;
  const passed = [line("lint", "result", "passed"), line("tests", "result", "passed")];

  it("is what decides, whatever the base and the old tests show after it", () => {
    const base = [...passed, line("tests", "base", "failed")];
    const old = [...base, line("tests", "old tests", "failed")];
    expect(titleOfSteps(base)).toBe("tests: passed");
    expect(titleOfSteps(old)).toBe("tests: passed; old tests fail");
    expect(titleOfSteps([...old, line("docs", "old tests", "passed")])).toBe("tests: passed; old tests fail");
    const failed = line("lint", "result", "failed");
    expect(titleOfSteps([failed, ...old])).toBe(failed);
  });

  it("is the last of them while it runs, and where none decides", () => {
    const started = line("tests", "base", "started");
    expect(titleOfSteps([...passed, started])).toBe(started);
    const alone = line("tests", "base", "failed");
    expect(titleOfSteps([alone])).toBe(alone);
    expect(titleOfSteps(["Cloning", "Ready"])).toBe("Ready");
  });
});
