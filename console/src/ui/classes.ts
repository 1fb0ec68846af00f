/** Join the names of classes; what is false or absent is left out. */
export function classes(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}

/** Of what scrolls by itself: the keyboard must reach it. */
export const scrolling = (label: string) => ({ tabIndex: 0, role: "group", "aria-label": label });
