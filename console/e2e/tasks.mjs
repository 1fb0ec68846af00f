// How long the page holds its thread: by the processor's time, since machines that test are busy with other things.
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline", "toplevel"];

/** Return the milliseconds of processor time of each task of the page's main thread while `act` lasts, longest first. */
export async function tasksOf(browser, page, act) {
  const path = join(tmpdir(), `taskbeacon-trace-${process.pid}-${Date.now()}.json`);
  await browser.startTracing(page, { categories: CATEGORIES, path });
  await act();
  await browser.stopTracing();
  const { traceEvents } = JSON.parse(readFileSync(path, "utf8"));
  rmSync(path);
  const isMain = new Set(
    traceEvents
      .filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain")
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  return traceEvents
    .filter(({ name, pid, tid, tdur }) => name === "RunTask" && tdur && isMain.has(`${pid} ${tid}`))
    .map(({ tdur }) => tdur / 1000)
    .toSorted((one, other) => other - one);
}

export const sum = (values) => values.reduce((total, value) => total + value, 0);
