// @vitest-environment jsdom
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ignoreUnmeant, PAUSE_MS } from "./unmeant";

let now = 0;
let acted: string[] = [];
let field: HTMLTextAreaElement;

function press(target: EventTarget, key: string, after = 100, init: KeyboardEventInit = {}): void {
  const event = new KeyboardEvent("keydown", { ...init, key, bubbles: true, cancelable: true });
  now += after;
  Object.defineProperty(event, "timeStamp", { value: now });
  target.dispatchEvent(event);
}

function click(target: EventTarget, [x, y]: [number, number], after: number): void {
  const event = new MouseEvent("click", {
    bubbles: true,
    cancelable: true,
    detail: 1,
    clientX: x,
    clientY: y,
  });
  now += after;
  Object.defineProperty(event, "timeStamp", { value: now });
  target.dispatchEvent(event);
}

beforeAll(() => {
  ignoreUnmeant();
  document.addEventListener("keydown", ({ key, target }) => {
    if (target === document.body) acted.push(key);
  });
  document.addEventListener("click", ({ target }) => acted.push((target as Element).id));
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

  it("act at once if the text was saved by Ctrl+Enter", () => {
    field.addEventListener("keydown", (event) => event.preventDefault());
    field.focus();
    press(field, "Enter", 100, { ctrlKey: true });
    field.remove();
    for (const key of ["j", "n"]) press(document.body, key);
    expect(acted).toEqual(["j", "n"]);
  });

  it("act at once after other fields", () => {
    (document.body.lastElementChild as HTMLElement).focus();
    press(document.body, "e");
    expect(acted).toEqual(["e"]);
  });
});

describe("a second click at the same place", () => {
  const on = (id: string) => document.getElementById(id) as HTMLElement;
  beforeEach(() => {
    now += 10_000;
    document.body.innerHTML = "<p id='text'></p><button id='a'></button><button id='b'></button>";
    document.body.innerHTML += "<label id='label'><input type='checkbox' id='box'></label>";
    document.body.innerHTML += "<dialog id='dialog'></dialog><button data-repeats id='more'></button>";
  });

  it("does nothing to what has come there meanwhile", () => {
    for (const first of ["a", "text"])
      for (const second of ["b", "box", "label", "dialog"]) {
        click(on(first), [10, 10], 1000);
        click(on(second), [12, 9], 300);
        expect(acted.splice(0)).toEqual([first]);
      }
  });

  it("acts later, elsewhere, and on what is pressed many times", () => {
    click(on("a"), [10, 10], 0);
    click(on("b"), [80, 10], 100);
    click(on("b"), [80, 10], 500);
    click(on("more"), [80, 10], 100);
    click(on("more"), [80, 10], 100);
    expect(acted).toEqual(["a", "b", "b", "more", "more"]);
  });

  it("may be Enter held down", () => {
    const repeats: boolean[] = [];
    on("a").addEventListener("keydown", ({ repeat }) => repeats.push(repeat));
    for (const repeat of [false, true]) press(on("a"), "Enter", 30, { repeat });
    expect(repeats).toEqual([false]);
  });

  it("of a label is its field's first", () => {
    click(on("label"), [10, 10], 0);
    click(on("box"), [10, 10], 0);
    expect(acted).toContain("box");
  });
});
