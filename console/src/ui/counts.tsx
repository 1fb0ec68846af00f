/** How many lines were added and removed. */
export function Counts({ additions, deletions }: { additions: number; deletions: number }) {
  return (
    <span className="fixed figures">
      <span className="success">+{additions}</span> <span className="danger">−{deletions}</span>
    </span>
  );
}

/** What the service names by a word of its own: `in_progress` is "In progress". */
export const inWords = (name: string): string =>
  name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

export const countOf = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`;

const KILO = 1024;
const UNITS = ["B", "kB", "MB", "GB"];

export function sizeText(bytes: number): string {
  let [size, unit] = [bytes, 0];
  while (size >= KILO && unit < UNITS.length - 1) [size, unit] = [size / KILO, unit + 1];
  return `${Number(size.toFixed(1)).toLocaleString()} ${UNITS[unit]}`;
}
