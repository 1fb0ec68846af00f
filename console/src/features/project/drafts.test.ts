// @vitest-environment jsdom
import { expect, it, vi } from "vitest";
import type { Task } from "../../api/types";
import { textPlaceOf, unsentOf } from "./drafts";

// A task that was archived from the list took them along without a word.
it("counts what is not sent to the latest runs of tasks, as far as it is known", async () => {
  const drafts: Record<string, number> = { one: 2, two: 0, three: 1 };
  vi.stubGlobal("fetch", (path: string) => {
    const run = /\/runs\/(\w+)\/review\//.exec(path)?.[1] ?? "";
    const comments = Array.from({ length: drafts[run] ?? 0 }, () => ({ message_id: null }));
    const review = { version: 1, viewed: [], comments: [...comments, { message_id: "m" }] };
    return Promise.resolve(run in drafts ? Response.json(review) : new Response(null, { status: 404 }));
  });
  const of = (...runs: (string | null)[]) => {
    const tasks = runs.map((id, at) => ({ id: `${at}`, latest_run: id && { id } }));
    return unsentOf(1, tasks as unknown as Task[]);
  };
  expect(await of("one", null, "gone", "three")).toBe("3 draft comments are not sent.");
  expect(await of("two", null)).toBe("");
  sessionStorage.setItem(textPlaceOf("two"), "Also …");
  expect(await of("two", "three")).toBe("1 message and 1 draft comment are not sent.");
});
