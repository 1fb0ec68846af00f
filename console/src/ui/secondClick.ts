/** The second click of a double one, or of a double tap, was meant for what stood there at the first. */
const DOUBLE_MS = 400;
const SAME_PLACE_PX = 24;

const ACTS = "button, a";
/** What is pressed many times on purpose. */
const REPEATS = "[data-repeats]";

const actsAt = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest(ACTS) !== null && target.closest(REPEATS) === null;

/** Keep second clicks, and keys that are held down, from buttons and links. */
export function ignoreSecondClicks(): void {
  let last = { at: Number.NEGATIVE_INFINITY, x: 0, y: 0 };
  document.addEventListener(
    "click",
    (event) => {
      // A click by a key has no place.
      if (event.detail === 0 || !actsAt(event.target)) return;
      const { timeStamp: at, clientX: x, clientY: y } = event;
      const isNear = Math.hypot(x - last.x, y - last.y) < SAME_PLACE_PX;
      // Phones count each tap as a first one.
      const isSecond = event.detail > 1 || (isNear && at - last.at < DOUBLE_MS);
      last = { at, x, y };
      if (isSecond) stop(event);
    },
    true,
  );
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.repeat && event.key === "Enter" && actsAt(event.target)) stop(event);
    },
    true,
  );
}

function stop(event: Event): void {
  event.preventDefault();
  event.stopImmediatePropagation();
}
