import { describe, expect, it } from "vitest";
import { spanInWords } from "./time";

describe("a span of time", () => {
  it.each([
    [60, "1 minute"],
    [600, "10 minutes"],
    [5400, "1 hour 30 minutes"],
    [86_400, "24 hours"],
    [3661, "1 hour 1 minute 1 second"],
  ])("of %i seconds is in words", (seconds, words) => {
    expect(spanInWords(seconds)).toBe(words);
  });
});
