// @vitest-environment jsdom
import { beforeEach, describe, expect, it } from "vitest";
import { Presence } from "./presence";

describe("presence", () => {
  let said: (number | null | "left")[] = [];
  let presence: Presence;
  beforeEach(() => {
    said = [];
    presence = new Presence({ beat: (seen) => said.push(seen), leave: () => said.push("left") });
  });

  it("beats while the person looks, and leaves once", () => {
    presence.update(true);
    presence.update(true);
    presence.update(false);
    presence.update(false);
    presence.leave();
    expect(said).toEqual([null, null, "left"]);
  });

  it("says nothing while the person looks elsewhere", () => {
    presence.update(false);
    presence.show(7);
    presence.sign();
    presence.leave();
    expect(said).toEqual([]);
  });

  it("has seen an event after a sign of the person only, and all before it at once", () => {
    presence.update(true);
    presence.show(7);
    presence.show(8);
    expect(said).toEqual([null, 6]);
    presence.update(true);
    presence.sign();
    presence.sign();
    presence.update(true);
    expect(said).toEqual([null, 6, 6, 8, 8]);
    presence.show(12);
    expect(said.at(-1)).toBe(11);
  });

  it("has seen what came meanwhile when the person comes back", () => {
    presence.update(true);
    presence.show(7);
    presence.update(false);
    presence.show(9);
    presence.update(true);
    expect(said).toEqual([null, 6, "left", 9]);
  });
});
