import { describe, expect, it } from "vitest";
import type { Notification } from "../../api/types";
import { stepsOf, whyText } from "./decisions";

const at = "2026-01-01T00:00:00Z";

describe("why a device rang or did not", () => {
  it("is described step by step", () => {
    const history = [
      { decision: "deferred", reason: "presence", at },
      { decision: "sent", reason: null, at },
      { decision: "reminder", reason: "still_open", at },
      { decision: "retracted", reason: "answered", at },
    ] as Notification["history"];
    expect(stepsOf({ history }).map(({ text }) => text)).toEqual([
      "Deferred: a device shows the task",
      "Sent: the push service has it",
      "Sent once more as a reminder: the question was still open",
      "Sent, and taken back: the question was answered",
    ]);
  });

  it("says nothing twice", () => {
    expect(whyText({ decision: "held_quiet_hours", reason: "quiet_hours" })).toBeNull();
    expect(whyText({ decision: "digested", reason: "quiet_hours" })).toBeNull();
    expect(whyText({ decision: "cooled_down", reason: "cooldown" })).toBeNull();
    expect(whyText({ decision: "muted", reason: "kind_off" })).toBe("you have switched this kind off");
    expect(whyText({ decision: "rejected", reason: "SomethingNew" })).toBe("SomethingNew");
  });
});
