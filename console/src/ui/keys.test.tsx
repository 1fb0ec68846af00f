// @vitest-environment jsdom
import { cleanup, fireEvent, render } from "@testing-library/react";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Keys, useKeys } from "./keys";

const pressed: string[] = [];
const noting = (what: string) => () => pressed.push(what);

function Part({ keys, areFirst }: { keys: Keys; areFirst?: boolean }) {
  useKeys(keys, areFirst);
  return null;
}

const press = (...keys: string[]) => {
  for (const key of keys) fireEvent.keyDown(document.body, { key });
};

beforeEach(() => pressed.splice(0));
afterEach(cleanup);

it("gives a question the keys that the rest of the page has, too, whichever was there first", () => {
  render(
    <>
      <Part keys={{ e: noting("archive") }} />
      <Part keys={{ e: noting("explain") }} areFirst />
    </>,
  );
  press("e");
  expect(pressed).toEqual(["explain"]);
});

it("takes the second key of a pair for no key of its own", () => {
  render(
    <>
      <Part keys={{ "1": noting("answer") }} areFirst />
      <Part keys={{ "p 1": noting("changes") }} />
    </>,
  );
  press("p", "1");
  expect(pressed).toEqual(["changes"]);
  press("x", "1");
  expect(pressed).toEqual(["changes", "answer"]);
});
