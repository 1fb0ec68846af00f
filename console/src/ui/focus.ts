const HEADING = ':is(h1, h2)[tabindex="-1"]';

/**
 * Whenever the element with the focus is removed, as a card by its own button, give the focus to the heading of the
 * section or page around it: the next Tab continues from there.
 */
export function keepFocus(): void {
  let path: Element[] = [];
  document.addEventListener("focusin", (event) => {
    path = event.composedPath().filter((target) => target instanceof Element);
  });
  // A click elsewhere takes the focus on purpose.
  document.addEventListener("pointerdown", () => {
    path = [];
  });
  const restore = () => {
    if (!path[0] || path[0].isConnected || document.activeElement !== document.body) return;
    const around = path.find((element) => element.isConnected && element.querySelector(HEADING));
    path = [];
    around?.querySelector<HTMLElement>(HEADING)?.focus({ preventScroll: true });
  };
  new MutationObserver(restore).observe(document.body, { childList: true, subtree: true });
}
