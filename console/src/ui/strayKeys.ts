/**
 * Keys that were meant for a field which is not there any more: the page has changed under a person who types. They
 * must not act as keys of the page, which archive tasks and answer questions.
 *
 * So once a text field has had the focus, single keys do nothing until the person leaves it on purpose: by the pointer,
 * Tab or Escape. A pause alone says nothing, since people stop to think in the middle of a sentence. Only after a text
 * was sent, as with Enter, a pause is the end of it.
 */
const TEXT = "textarea, input:not([type=checkbox], [type=radio], [type=file]), [contenteditable]";
const LEAVE = new Set(["Tab", "Escape"]);
export const PAUSE_MS = 2000;

export const takesText = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest(TEXT) !== null;

/** Keep keys from the page while they may belong to a text. */
export function ignoreStrayKeys(): void {
  let isWriting = false;
  /** Whether the last key in a field has sent the text. */
  let isSent = false;
  let lastKeyAt = 0;
  document.addEventListener("focusin", ({ target }) => {
    if (takesText(target)) [isWriting, isSent] = [true, false];
  });
  document.addEventListener(
    "pointerdown",
    ({ target }) => {
      isWriting = takesText(target);
    },
    true,
  );
  document.addEventListener(
    "keydown",
    (event) => {
      const sinceLast = event.timeStamp - lastKeyAt;
      lastKeyAt = event.timeStamp;
      if (LEAVE.has(event.key) || (isSent && sinceLast > PAUSE_MS)) isWriting = false;
      else if (takesText(event.target)) [isWriting, isSent] = [true, false];
      else if (isWriting && !event.ctrlKey && !event.metaKey) event.stopImmediatePropagation();
    },
    true,
  );
  // Fields have handled the key by then: one that takes Enter as a new line leaves it to the browser.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && takesText(event.target))
      isSent = event.defaultPrevented || event.target instanceof HTMLInputElement;
  });
}
