// @vitest-environment jsdom
import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import type { InboxRow } from "../../api/types";
import type { QuestionItem } from "../../transcript/items";
import { RunQuestions } from "../questions/runQuestions";
import { TranscriptRow } from "./TranscriptRow";

const ID = "01a22adc-ef55-7804-a5c0-0d7b6410a96b";
const asked: QuestionItem = {
  kind: "question",
  id: `question:${ID.replaceAll("-", "")}`,
  at: "",
  title: "Go on?",
  toolCallId: "t",
  options: [],
  state: "answered",
  answer: "no",
};

function shown(row: Partial<InboxRow> | null | undefined, item = asked): string | null | undefined {
  const rows = row === undefined ? undefined : row ? [{ id: ID, options: [], ...row } as InboxRow] : [];
  const page = (
    <RunQuestions.Provider value={rows}>
      <TranscriptRow row={item} />
    </RunQuestions.Provider>
  );
  return render(page).container.querySelector("strong")?.textContent;
}

it("is answered by a person, by the clock, or by an agent's own client", () => {
  const by = { first_name: "Ana" } as NonNullable<InboxRow["answered_by"]>;
  const given = { answered_by: by, answered_via: "console" as const, answer: { option_id: "no" } };
  expect(shown({ status: "answered", ...given })).toBe("Answered by Ana in the console: no");
  const times = { opened_at: "2026-01-01T00:00:00Z", expires_at: "2026-01-01T00:05:00Z" };
  const late = "Nobody answered in 5 minutes: counted as refused";
  expect(shown({ status: "expired", ...times })).toBe(late);
  expect(shown({ status: "withdrawn" })).toBe("Closed without an answer");
  expect(shown(null)).toBe("Answered: no");
});

it("says so where nobody was asked", () => {
  const unasked = { ...asked, id: "decided:t", state: "unasked" as const };
  expect(shown(undefined, { ...unasked, answer: "yes" })).toBe("Nobody was asked; went on with yes");
  expect(shown(null, { ...unasked, answer: "" })).toBe("Nobody was asked; it was refused");
});

it("does not guess before it is known", () => {
  expect(shown(undefined)).toBe("Closed");
  expect(shown({ status: "open" })).toBe("Closed");
  expect(shown(undefined, { ...asked, state: "open" })).toBe("Waits for an answer");
});
