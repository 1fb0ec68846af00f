import type { FileChange } from "../text/patch";
import { request } from "./client";
import { type RunRef, runPath } from "./commands";

export interface Changes {
  base: string | null;
  head: string | null;
  files: FileChange[];
}

interface Page extends Changes {
  next: string | null;
}

/** Return all changed files of a run: the service sends them in pages. */
export async function fetchChanges(ref: RunRef): Promise<Changes> {
  const files: FileChange[] = [];
  for (let cursor = ""; ; ) {
    const query = cursor ? `?${new URLSearchParams({ cursor })}` : "";
    const page = await request<Page>(`${runPath(ref)}/diff/${query}`);
    files.push(...page.files);
    if (!page.next) return { base: page.base, head: page.head, files };
    cursor = page.next;
  }
}
