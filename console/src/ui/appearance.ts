/** The theme of the console in this browser: the system's unless the person has chosen one. */
import { Store, useStore } from "./store";

const KEY = "taskbeacon.theme";

export const THEMES = [
  ["system", "Like the system"],
  ["light", "Light"],
  ["dark", "Dark"],
] as const;

const theme = new Store(localStorage.getItem(KEY) ?? "system");

export const useTheme = () => useStore(theme);

export function applyTheme(): void {
  const chosen = theme.get();
  document.documentElement.dataset.theme = chosen;
  document.documentElement.style.colorScheme = chosen === "system" ? "" : chosen;
  // The colour of the browser's own bars.
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
    const own = meta.dataset.theme;
    const media = chosen === own ? "all" : "not all";
    meta.media = chosen === "system" ? `(prefers-color-scheme: ${own})` : media;
  }
}

export function chooseTheme(value: string): void {
  localStorage.setItem(KEY, value);
  theme.set(value);
  applyTheme();
}
