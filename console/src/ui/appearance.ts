/** How the console looks in this browser: its theme, the system's unless the person has chosen one, and its rows. */
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

export const lookOf = (name: Name): string | null => localStorage.getItem(`taskbeacon.${name}`);

export function applyLooks(): void {
  const theme = lookOf("theme");
  const isChosen = theme === "light" || theme === "dark";
  const page = document.documentElement.dataset;
  page.density = lookOf("density") ?? "comfortable";
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
  applyLooks();
}
