// Chromium as Debian has it; no browser is downloaded.
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const SIZES = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

export async function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

export async function openPage(browser, { size = "desk", theme = "light", ...options } = {}) {
  const isPhone = size === "phone";
  const context = await browser.newContext({
    viewport: SIZES[size],
    colorScheme: theme,
    hasTouch: isPhone,
    isMobile: isPhone,
    ...options,
  });
  return context.newPage();
}
