/**
 * Presses that were meant for something else: the page changes under a person who clicks, taps and types.
 *
 * - A second click or tap at the same place, and Enter held down, belong to what stood there at the first.
 * - A press on what has just appeared belongs to what stood there before: it cannot have been read yet.
 * - Single keys belong to a text field that had the focus, even one that has vanished, until the person leaves it by the
 *   pointer, Tab or Escape, or has sent the text by Ctrl+Enter. A pause says nothing, since people stop to think, except
 *   after Enter alone has sent the text.
 * - A key of what is not on the screen shows that, and does nothing else.
 * - What asks for a request that is under way asks for the same one.
 */
import { type QueryKey, type UseMutationOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Button, type ButtonProps } from "./controls";
import { sayError } from "./feedback";

const DOUBLE_MS = 400;
const SAME_PLACE_PX = 24;
const ACTS = "button, a, label, [role=option], input:is([type=checkbox], [type=radio])";
/** What is pressed many times on purpose. */
const REPEATS = "[data-repeats]";
const TEXT = "textarea, input:not([type=checkbox], [type=radio], [type=file]), [contenteditable]";
const LEAVE = new Set(["Tab", "Escape"]);
export const PAUSE_MS = 2000;
/** Longer than it takes to press once more, shorter than reading a question. */
export const UNREAD_MS = 700;

export const isIn = (target: EventTarget | null, selector: string): boolean =>
  target instanceof Element && target.closest(selector) !== null;

export const takesText = (target: EventTarget | null): boolean => isIn(target, TEXT);

/** Keep second clicks and the keys of texts from the page. */
export function ignoreUnmeant(): void {
  ignoreSecondClicks();
  ignoreKeysOfTexts();
}

function ignoreSecondClicks(): void {
  let last = { at: Number.NEGATIVE_INFINITY, x: 0, y: 0 };
  const onClick = (event: MouseEvent) => {
    const { timeStamp: at, clientX: x, clientY: y, detail, target } = event;
    // A click by a key has no place; that of a label comes once more for its field, at the same moment.
    if (detail === 0 || at === last.at) return;
    const isNear = Math.hypot(x - last.x, y - last.y) < SAME_PLACE_PX;
    // Phones count each tap as a first one.
    const isSecond = detail > 1 || (isNear && at - last.at < DOUBLE_MS);
    last = { at, x, y };
    const acts = isIn(target, ACTS) || target instanceof HTMLDialogElement;
    if (isSecond && acts && !isIn(target, REPEATS)) stop(event);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.repeat && event.key === "Enter" && isIn(event.target, ACTS)) stop(event);
  };
  document.addEventListener("click", onClick, true);
  document.addEventListener("keydown", onKey, true);
}

function stop(event: Event): void {
  event.preventDefault();
  event.stopImmediatePropagation();
}

function ignoreKeysOfTexts(): void {
  let isWriting = false;
  /** Whether the last key in a field has sent the text. */
  let isSent = false;
  let lastKeyAt = 0;
  document.addEventListener("focusin", ({ target }) => {
    if (takesText(target)) [isWriting, isSent] = [true, false];
  });
  const onPointer = ({ target }: Event) => {
    isWriting = takesText(target);
  };
  document.addEventListener("pointerdown", onPointer, true);
  const onKey = (event: KeyboardEvent) => {
    const sinceLast = event.timeStamp - lastKeyAt;
    lastKeyAt = event.timeStamp;
    if (LEAVE.has(event.key) || (isSent && sinceLast > PAUSE_MS)) isWriting = false;
    else if (takesText(event.target)) [isWriting, isSent] = [true, false];
    else if (isWriting && !event.ctrlKey && !event.metaKey) event.stopImmediatePropagation();
  };
  document.addEventListener("keydown", onKey, true);
  // Fields have handled the key by then: one that takes Enter as a new line leaves it to the browser.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !takesText(event.target)) return;
    isSent = event.defaultPrevented || event.target instanceof HTMLInputElement;
    // Nobody presses both while typing on.
    if (event.defaultPrevented && (event.ctrlKey || event.metaKey)) isWriting = false;
  });
}

/** Whether what is shown has just appeared at its place. `place` changes whenever it moves. */
export function useUnread(place: string): boolean {
  const [read, setRead] = useState<string | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => setRead(place), UNREAD_MS);
    return () => {
      clearTimeout(timer);
      setRead(null);
    };
  }, [place]);
  return read !== place;
}

/** Whether the middle of an element is on the screen, and nothing hides or covers it. */
export function isSeen(element: Element): boolean {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  return element.contains(document.elementFromPoint((left + right) / 2, (top + bottom) / 2));
}

interface Action<Result, Argument> extends UseMutationOptions<Result, Error, Argument> {
  /** What is asked for again afterwards; the action is pending until that has come, unless it has failed. */
  refreshes?: readonly QueryKey[];
}

/** A mutation that runs once at a time, and says its failure unless `onError` does. `isPending` is shown a moment later only, after a second press. */
export function useAction<Result, Argument = void>({ refreshes, ...options }: Action<Result, Argument>) {
  const queries = useQueryClient();
  const isRunning = useRef(false);
  const { mutate: run, ...mutation } = useMutation({
    onError: sayError,
    ...options,
    onSettled: (_, error) => {
      isRunning.current = false;
      const all = refreshes?.map((queryKey) => queries.invalidateQueries({ queryKey }));
      return error ? undefined : Promise.all(all ?? []);
    },
  });
  const mutate = (argument: Argument) => {
    if (isRunning.current) return;
    isRunning.current = true;
    run(argument);
  };
  return { ...mutation, mutate };
}

interface SureProps extends Omit<ButtonProps, "onClick" | "onBlur"> {
  sureLabel: string;
  onSure: () => void;
}

/** Asks once more, until the focus goes elsewhere. */
export function SureButton({ sureLabel, onSure, children, disabled, ...rest }: SureProps) {
  // No narrower than before: else it moves away from a second tap, which then takes the focus from it.
  const [minWidth, setMinWidth] = useState(0);
  const isAsked = minWidth > 0;
  const isUnread = useUnread(String(isAsked));
  const press = ({ currentTarget }: React.MouseEvent) => {
    if (isAsked) onSure();
    setMinWidth(isAsked ? 0 : currentTarget.getBoundingClientRect().width);
  };
  return (
    <Button
      {...rest}
      disabled={disabled || (isAsked && isUnread)}
      onClick={press}
      onBlur={() => setMinWidth(0)}
      style={isAsked ? { minWidth } : undefined}
    >
      {isAsked ? sureLabel : children}
    </Button>
  );
}
