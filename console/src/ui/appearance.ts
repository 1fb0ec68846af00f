/** How the console looks in this browser: its theme, the system's unless the person has chosen one, and its rows. */
import { Store, useStore } from "./store";

export const LOOKS = [
  {
    name: "theme",
    title: "Theme",
    choices: [
      ["system", "Like the system"],
      ["light", "Light"],
      ["dark", "Dark"],
    ],
  },
  {
    name: "density",
    title: "Rows of tasks",
    choices: [
      ["comfortable", "Comfortable"],
      ["compact", "Compact"],
    ],
  },
] as const;

type Name = (typeof LOOKS)[number]["name"];

const chosen = (name: Name) => localStorage.getItem(`taskbeacon.${name}`);
const read = () => ({ theme: chosen("theme") ?? "system", density: chosen("density") ?? "comfortable" });
const looks = new Store(read());

export const useLooks = () => useStore(looks);

export function applyLooks(): void {
  const { theme, density } = looks.get();
  const isChosen = theme === "light" || theme === "dark";
  const page = document.documentElement.dataset;
  page.density = density;
  if (isChosen) page.theme = theme;
  else delete page.theme;
  // The colour of the browser's own bars.
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
    const own = meta.dataset.theme;
    const media = theme === own ? "all" : "not all";
    meta.media = isChosen ? media : `(prefers-color-scheme: ${own})`;
  }
}

export function chooseLook(name: Name, value: string): void {
  localStorage.setItem(`taskbeacon.${name}`, value);
  looks.set(read());
  applyLooks();
}
