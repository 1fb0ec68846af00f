// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { InboxRow } from "../../api/types";
import { Messages } from "../../ui/feedback";
import { UNREAD_MS } from "../../ui/unmeant";
import { QuestionCard } from "./QuestionCard";

const NOTHING = () => {};

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** jsdom has no layout: what is at any point is `top`. */
function shown(top: () => Element | null, onReveal?: () => void) {
  document.elementFromPoint = top;
  const options = [
    { id: "once", name: "Allow", kind: "allow_once" },
    { id: "no", name: "Reject", kind: "reject_once" },
  ];
  const question = {
    id: "q",
    kind: "permission",
    title: "Go on?",
    task: { id: "t" },
    project_id: 1,
    options,
  };
  const page = (onReveal: (() => void) | undefined) => (
    <QueryClientProvider client={new QueryClient()}>
      <QuestionCard question={question as unknown as InboxRow} onReveal={onReveal} />
    </QueryClientProvider>
  );
  const { container, rerender, getByRole } = render(page(onReveal));
  return { container, getByRole, reveal: () => rerender(page(undefined)) };
}

it("shows a question for a key while a pane hides it, and answers it after it could be read alone", async () => {
  vi.useFakeTimers();
  const fetches = vi.fn(() => new Promise<Response>(NOTHING));
  vi.stubGlobal("fetch", fetches);
  const reveals = vi.fn();
  let isHidden = true;
  const page = shown(() => (isHidden ? document.body : page.getByRole("button", { name: /Allow/ })), reveals);
  act(() => vi.advanceTimersByTime(UNREAD_MS));
  for (const key of ["a", "r", "1"]) fireEvent.keyDown(document.body, { key });
  expect(reveals).toHaveBeenCalledTimes(3);
  expect(fetches).not.toHaveBeenCalled();
  isHidden = false;
  page.reveal();
  fireEvent.keyDown(document.body, { key: "a" });
  expect(page.container.textContent).toContain("Not sent: you pressed before the question could be read.");
  expect(fetches).not.toHaveBeenCalled();
  act(() => vi.advanceTimersByTime(UNREAD_MS));
  fireEvent.keyDown(document.body, { key: "a" });
  await act(() => vi.advanceTimersByTimeAsync(1));
  expect(fetches).toHaveBeenCalledTimes(1);
});

it("scrolls to a question that is out of sight", () => {
  const scrolls = vi.fn();
  Element.prototype.scrollIntoView = scrolls;
  shown(() => null);
  fireEvent.keyDown(document.body, { key: "a" });
  expect(scrolls).toHaveBeenCalledTimes(1);
});

// Each verdict stood in the inbox with an empty field, and an answer made it vanish without a word.
it("opens the field of a verdict with the choice, and says which task is waived", async () => {
  vi.useFakeTimers();
  document.elementFromPoint = () => null;
  const fetches = vi.fn(() => Promise.resolve(Response.json({ run_id: null })));
  vi.stubGlobal("fetch", fetches);
  const options = ["send_back", "waive"].map((id) => ({ id, name: id, kind: id }));
  const task = { id: "t", title: "Fix it" };
  const run = { id: "r" };
  const question = { id: "q", kind: "verdict", title: "1 check fails", task, run, project_id: 1, options };
  const { getByRole, findByText, queryByRole } = render(
    <QueryClientProvider client={new QueryClient()}>
      <QuestionCard question={question as unknown as InboxRow} />
      <Messages />
    </QueryClientProvider>,
  );
  act(() => vi.advanceTimersByTime(UNREAD_MS));
  expect(queryByRole("textbox")).toBeNull();
  fireEvent.click(getByRole("button", { name: "waive …" }));
  fireEvent.click(getByRole("button", { name: "waive" }));
  expect(fetches).not.toHaveBeenCalled();
  fireEvent.change(getByRole("textbox"), { target: { value: "Known." } });
  fireEvent.click(getByRole("button", { name: "waive" }));
  vi.useRealTimers();
  await findByText("Waived: Fix it.");
  expect(fetches).toHaveBeenCalledTimes(1);
});

// They stayed behind, and nothing said so.
it("says before work is sent back which comments are not sent with it", async () => {
  document.elementFromPoint = () => null;
  const drafts = [{ message_id: null }, { message_id: "m" }, { message_id: null }];
  const review = { version: 1, viewed: [], comments: drafts, earlier: [] };
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json(review)));
  const options = ["send_back", "waive"].map((id) => ({ id, name: id, kind: id }));
  const rest = { title: "1 check fails", task: { id: "t" }, run: { id: "r" }, project_id: 1, options };
  const { getByRole, findByText, queryByText } = render(
    <QueryClientProvider client={new QueryClient()}>
      <QuestionCard question={{ id: "q", kind: "verdict", ...rest } as unknown as InboxRow} />
    </QueryClientProvider>,
  );
  fireEvent.click(getByRole("button", { name: "send_back …" }));
  await findByText(/^2 draft comments are not sent\./);
  expect(getByRole("link", { name: "Review them" }).getAttribute("href")).toContain("/runs/r?pane=changes");
  fireEvent.click(getByRole("button", { name: "waive …" }));
  expect(queryByText(/not sent/)).toBeNull();
});

const listed = (question: object) =>
  render(
    <QueryClientProvider client={new QueryClient()}>
      <QuestionCard question={{ id: "q", task: { id: "t" }, ...question } as unknown as InboxRow} above="" />
    </QueryClientProvider>,
  );

// Each card of the inbox was as high as its whole form.
it("asks in a list for the fields of a form when it is to be answered", () => {
  const schema = { properties: { name: { type: "string", title: "Name" } } };
  const detail = "Which of `a` and [b](https://example.com)?";
  const { container, getByRole, queryByRole } = listed({
    kind: "form",
    title: "Name",
    detail,
    schema,
    options: [],
  });
  expect(queryByRole("textbox")).toBeNull();
  expect(container.textContent).toContain("Which of a and b?");
  fireEvent.click(getByRole("button", { name: "Answer …" }));
  expect(document.activeElement).toBe(getByRole("textbox", { name: "Name" }));
  expect(getByRole("link", { name: "b" }).getAttribute("rel")).toContain("nofollow");
});

it("asks in a list for the word that allows what is risky when that is to be allowed", () => {
  const options = [{ id: "once", name: "Allow", kind: "allow_once" }];
  const { getByRole, queryByRole } = listed({ kind: "permission", title: "Push", risk: "high", options });
  expect(queryByRole("textbox")).toBeNull();
  fireEvent.click(getByRole("button", { name: "Allow …" }));
  expect(document.activeElement).toBe(getByRole("textbox"));
  expect(getByRole("button", { name: "Allow" }).getAttribute("aria-disabled")).toBe("true");
});
