// @vitest-environment jsdom
import { render, screen } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { Guard } from "./Guard";

function Broken(): never {
  throw new Error("a defect");
}

it("shows a page that can be loaded again, not a white one, when the console fails", () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  render(
    <Guard>
      <Broken />
    </Guard>,
  );
  expect(screen.getByRole("heading", { name: "The console cannot be shown" })).toBeDefined();
  expect(screen.getByRole("alert").textContent).toBe("Something in it failed.");
  expect(screen.getByRole("button", { name: "Try again" })).toBeDefined();
});
