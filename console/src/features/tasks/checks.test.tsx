// @vitest-environment jsdom
import { cleanup, fireEvent, render } from "@testing-library/react";
import { useState } from "react";
import { afterEach, expect, it } from "vitest";
import { ApiError } from "../../api/errors";
import type { Acceptance } from "../../api/types";
import { ChecksField, withoutBlank } from "./ChecksField";

afterEach(cleanup);

const check = (id: string, shell: string) => ({ id, shell }) as Acceptance["checks"][number];
const BLANK = { checks: [check("check-1", " "), check("", "make lint")] } as Acceptance;

it("does not send a check without a command", () => {
  expect(withoutBlank(BLANK)?.checks).toEqual([check("", "make lint")]);
  expect(withoutBlank({ checks: [check("check-1", "")] } as Acceptance)).toBeNull();
});

it("says what is wrong with a check at its own row", () => {
  const error = new ApiError(400, {
    detail: "This field may not be blank.",
    attr: "acceptance__checks__0__id",
  });
  const page = render(<ChecksField acceptance={BLANK} error={error} onChange={() => {}} />);
  const alert = page.getByRole("alert");
  expect(alert.textContent).toBe("Name: This field may not be blank.");
  expect(alert.parentElement?.contains(page.getByLabelText("Command of check 2"))).toBe(true);
});

it("goes to the row that was added", () => {
  function Field() {
    const [acceptance, set] = useState<Acceptance | null>(null);
    return <ChecksField acceptance={acceptance} error={null} onChange={set} />;
  }
  const page = render(<Field />);
  for (const number of [1, 2]) {
    fireEvent.click(page.getByRole("button", { name: "Add a command that must pass" }));
    expect(document.activeElement).toBe(page.getByLabelText(`Command of check ${number}`));
    fireEvent.change(page.getByLabelText(`Command of check ${number}`), { target: { value: "make" } });
  }
});
