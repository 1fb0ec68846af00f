// @vitest-environment jsdom
import { act, render } from "@testing-library/react";
import { expect, it } from "vitest";
import { Messages, say } from "./feedback";

it("says the same only once at a time, and keeps what can be taken back", () => {
  const { container } = render(<Messages />);
  const twice = (text: string, back?: () => void) => {
    act(() => say(text, "danger", back));
    act(() => say(text, "danger", back));
    return [...container.querySelectorAll("p")].map(({ textContent }) => textContent);
  };
  expect(twice("Not reachable.")).toEqual(["Not reachable."]);
  expect(twice("Archived.", () => {})).toEqual(["Archived.Undo", "Archived.Undo"]);
});
