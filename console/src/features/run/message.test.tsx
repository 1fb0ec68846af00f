// @vitest-environment jsdom
import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import { UserMessage } from "./TranscriptRow";

it("shows the output of a check as code, whatever its lines look like", () => {
  const text = "Check tests: make\noutput:\n| FAIL\n| ------\n| ```\n| # no\n\nCorrect the cause.";
  const item = { kind: "user" as const, id: "u", at: "", text, files: [], receipt: null };
  const page = render(<UserMessage item={item} />).container;
  expect(page.querySelector("pre")?.textContent?.trim()).toBe("| FAIL\n| ------\n| ```\n| # no");
  expect(page.querySelector("table, h1")).toBeNull();
});
