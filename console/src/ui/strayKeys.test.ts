// @vitest-environment jsdom
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ignoreStrayKeys, PAUSE_MS } from "./strayKeys";

let now = 0;
let acted: string[] = [];
let field: HTMLTextAreaElement;

function press(target: EventTarget, key: string, after = 100): void {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
  now += after;
  Object.defineProperty(event, "timeStamp", { value: now });
  target.dispatchEvent(event);
}

beforeAll(() => {
  ignoreStrayKeys();
  document.addEventListener("keydown", ({ key, target }) => {
    if (target === document.body) acted.push(key);
  });
});

beforeEach(() => {
  document.body.innerHTML = "<textarea></textarea><input type='checkbox'>";
  field = document.body.firstElementChild as HTMLTextAreaElement;
  document.body.dispatchEvent(new Event("pointerdown", { bubbles: true }));
  acted = [];
});

describe("keys after a text field that has vanished", () => {
  it("do nothing, however long the person has thought", () => {
    field.focus();
    field.remove();
    press(document.body, "e", 60_000);
    press(document.body, "a", 60_000);
    expect(acted).toEqual([]);
  });

  it("act again once the person has left the text on purpose", () => {
    for (const key of ["Tab", "Escape"]) {
      field.focus();
      press(field, "w");
      press(field, key);
      field.blur();
      press(document.body, "e");
    }
    field.focus();
    field.blur();
    document.body.dispatchEvent(new Event("pointerdown", { bubbles: true }));
    press(document.body, "a");
    expect(acted).toEqual(["e", "e", "a"]);
  });

  it("act again after a pause if the text was sent", () => {
    const send = (event: Event) => event.preventDefault();
    field.addEventListener("keydown", send);
    field.focus();
    press(field, "Enter");
    field.remove();
    press(document.body, "e");
    press(document.body, "a", PAUSE_MS - 1);
    expect(acted).toEqual([]);
    press(document.body, "e", PAUSE_MS + 1);
    expect(acted).toEqual(["e"]);
  });

  it("act at once after other fields", () => {
    (document.body.lastElementChild as HTMLElement).focus();
    press(document.body, "e");
    expect(acted).toEqual(["e"]);
  });
});
