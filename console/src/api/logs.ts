/** The stored log of a run, read in one pass while it arrives. */
import { type RunRef, runPath } from "./commands";
import { ApiError } from "./errors";

const BATCH = 2000;

async function read(address: string): Promise<Response> {
  const response = await fetch(address);
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => null));
  return response;
}

/** How many entries the log of a run has, with those of the runs that it resumes. */
export async function countLog(ref: RunRef): Promise<number> {
  const response = await read(`${runPath(ref)}/session_logs/?limit=1`);
  return Number(response.headers.get("X-Total-Count"));
}

/** The entries of a run's log and of the runs that it resumes, as they arrive; lines without an object are left out. */
export async function* readLog(ref: RunRef): AsyncGenerator<unknown[]> {
  const { body } = await read(`${runPath(ref)}/logs/`);
  if (!body) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let entries: unknown[] = [];
    let rest = "";
    for (;;) {
      const { done, value = "" } = await reader.read();
      const lines = (rest + value).split("\n");
      rest = done ? "" : (lines.pop() ?? "");
      entries = entries.concat(lines.map(parse).filter((entry) => entry !== null));
      if (done || entries.length >= BATCH) {
        yield entries;
        entries = [];
      }
      if (done) return;
    }
  } finally {
    // What is not read to its end keeps its connection, of which a browser has six.
    reader.cancel().catch(() => {});
  }
}

function parse(line: string): object | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
