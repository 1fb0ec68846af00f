// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { useRef, useState } from "react";
import { expect, it, vi } from "vitest";
import { EMPTY } from "../../transcript/append";
import { Composer } from "./Composer";

// jsdom has no media queries.
vi.stubGlobal("matchMedia", () => ({
  matches: false,
  addEventListener: () => {},
  removeEventListener: () => {},
}));

const commands = ["compact", "cost", "clear"].map((name) => ({ name, description: "" }));

function Page(more: { isSteered?: boolean; onStop?: () => void }) {
  const [text, setText] = useState("");
  const rest = { onSend: () => {}, isBusy: false, ...more };
  return (
    <Composer
      {...{ text, onText: setText, area: useRef(null), known: [], ...rest }}
      standing={{ ...EMPTY.standing, commands }}
      filesPlace="files"
      uploads=""
      placeholder=""
      sendLabel="Send"
    />
  );
}

it("completes a command by keys, and says to the field which one is chosen", () => {
  render(<Page />);
  const field = screen.getByRole<HTMLTextAreaElement>("textbox");
  fireEvent.change(field, { target: { value: "/c", selectionStart: 2 } });
  const list = screen.getByRole("listbox", { name: "Commands of the agent" });
  expect(field.getAttribute("aria-controls")).toBe(list.id);
  fireEvent.keyDown(field, { key: "ArrowDown" });
  fireEvent.keyDown(field, { key: "ArrowDown" });
  const chosen = screen.getByRole("option", { selected: true });
  expect(chosen.textContent).toContain("/clear");
  expect(field.getAttribute("aria-activedescendant")).toBe(chosen.id);
  fireEvent.keyDown(field, { key: "Enter" });
  expect(field.value).toBe("/clear ");
  expect(screen.queryByRole("listbox")).toBeNull();
  expect(field.getAttribute("aria-controls")).toBeNull();
});

it.each([
  [true, ["Steer now", "After this turn"]],
  [false, ["After this turn"]],
])("offers to steer an agent that may take messages in its turn alone: %s", (isSteered, choices) => {
  cleanup();
  render(<Page {...{ isSteered }} onStop={() => {}} />);
  const when = screen.getByRole("combobox", { name: "When the agent gets the message" });
  expect([...when.children].map(({ textContent }) => textContent)).toEqual(choices);
});
