/** The theme: the system's, unless the person has chosen one. */
export type Theme = "system" | "light" | "dark";

const KEY = "taskbeacon.theme";

export function readTheme(): Theme {
  const value = localStorage.getItem(KEY);
  return value === "light" || value === "dark" ? value : "system";
}

export function applyTheme(theme: Theme = readTheme()): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  // The colour of the browser's own bars.
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
    const own = meta.dataset.theme;
    const media = theme === own ? "all" : "not all";
    meta.media = theme === "system" ? `(prefers-color-scheme: ${own})` : media;
  }
}

export function chooseTheme(theme: Theme): void {
  localStorage.setItem(KEY, theme);
  applyTheme(theme);
}
