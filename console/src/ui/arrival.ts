/**
 * Where the focus goes when another page is shown: to its heading, which is read out; on the way back to the link by
 * which the page was left; while a person writes, to the field of the same name. Nothing moves on the first page of a
 * visit, which the browser itself announces.
 */
import type { AroundNavHandler } from "wouter";

let expected: "forward" | "back" | null = null;
let path = location.pathname;
/** The name of the text field that had the focus when the page was expected. */
let field: string | null = null;
/** By path of a page: the link in it that led away. */
const leftBy = new Map<string, string>();

/** Expect another page where no address changes: another run, or the sign-in. */
export function expectPage(): void {
  expected = "forward";
  field = document.activeElement?.closest("textarea")?.getAttribute("aria-label") ?? null;
}

/** Navigates for the router. A redirect goes on with what was expected before. */
export const aroundNav: AroundNavHandler = (navigate, to, options) => {
  const link = document.activeElement?.closest("main a[href]")?.getAttribute("href");
  const left = path;
  navigate(to, options);
  path = location.pathname;
  if (path === left || options?.replace) return;
  expectPage();
  if (link) leftBy.set(left, link);
};

window.addEventListener("popstate", () => {
  if (path !== location.pathname) expected = "back";
  path = location.pathname;
});

/** Take the focus for a page whose heading has come. */
export function arrive(heading: HTMLElement): void {
  if (!expected) return;
  const href = expected === "back" ? leftBy.get(path) : undefined;
  const link = href && document.querySelector<HTMLElement>(`main a[href="${CSS.escape(href)}"]`);
  expected = null;
  const sameField =
    field && document.querySelector<HTMLTextAreaElement>(`main textarea[aria-label="${CSS.escape(field)}"]`);
  field = null;
  (sameField || link || heading).focus({ preventScroll: true });
  if (sameField) sameField.setSelectionRange(sameField.value.length, sameField.value.length);
  else if (link) link.scrollIntoView({ block: "center" });
  else document.getElementById("content")?.scrollTo(0, 0);
}
