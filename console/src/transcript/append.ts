/**
 * The mapper: takes a transcript and entries, returns the transcript that they make. Pure; the order of entries counts.
 *
 * One call copies the list of items once, so entries are best appended in batches.
 */
import { withoutOpenCall } from "./ended";
import type { Item, Receipt, Standing } from "./items";
import { notificationOf } from "./notifications";
import { updateOf } from "./updates";
import { asNumber, asText, type Entry, readEntry } from "./wire";

export interface Transcript {
  items: readonly Item[];
  standing: Standing;
  /** Receipts of commands by the service's id, and those ids by the client's. */
  receipts: ReadonlyMap<string, Receipt>;
  commandIds: ReadonlyMap<string, string>;
  /** Where an item is, by its id. */
  places: ReadonlyMap<string, number>;
  /** The message or thought that grows. */
  openId: string | null;
  lastTimestamp: string;
  /** How many items there have ever been; makes ids for those that have none. */
  serial: number;
}

export const EMPTY: Transcript = {
  items: [],
  standing: {
    ...{ commands: [], mode: "", config: [], usage: null, plan: [] },
    ...{ status: "", waiting: "", changes: null },
  },
  receipts: new Map(),
  commandIds: new Map(),
  places: new Map(),
  openId: null,
  lastTimestamp: "",
  serial: 0,
};

type ItemOf<K extends Item["kind"]> = Extract<Item, { kind: K }>;

/** A transcript that is being written; `append` hides it. */
export class Draft {
  constructor(
    from: Transcript,
    public items = [...from.items],
    public standing = from.standing,
    readonly receipts = new Map(from.receipts),
    readonly commandIds = new Map(from.commandIds),
    readonly places = new Map(from.places),
    public openId = from.openId,
    public serial = from.serial,
  ) {}

  newId(kind: string): string {
    this.serial += 1;
    return `${kind}-${this.serial}`;
  }

  find<K extends Item["kind"]>(id: string, kind: K): ItemOf<K> | null {
    const item = this.items[this.places.get(id) ?? -1];
    return item?.kind === kind ? (item as ItemOf<K>) : null;
  }

  /** Put an item in the place of the one with its id, or at the end. */
  put(item: Item): void {
    const place = this.places.get(item.id) ?? this.items.length;
    this.places.set(item.id, place);
    this.items[place] = item;
  }

  set(changes: Partial<Standing>): void {
    this.standing = { ...this.standing, ...changes };
  }

  /** Mark the calls that have not ended as cancelled: nothing ends them any more. */
  endCalls(): void {
    this.items = this.items.map(withoutOpenCall);
  }

  /** End the message or thought that grows. */
  close(): void {
    const id = this.openId ?? "";
    const open = this.find(id, "agent") ?? this.find(id, "thought");
    if (open) this.put({ ...open, isOpen: false });
    this.openId = null;
  }
}

export function append(transcript: Transcript, values: readonly unknown[]): Transcript {
  if (values.length === 0) return transcript;
  const draft = new Draft(transcript);
  let lastTimestamp = transcript.lastTimestamp;
  for (const value of values) {
    const entry = readEntry(value);
    apply(draft, entry);
    if (entry.timestamp > lastTimestamp) lastTimestamp = entry.timestamp;
  }
  return { ...draft, lastTimestamp };
}

function apply(draft: Draft, entry: Entry): void {
  if (entry.type === "gap") {
    draft.close();
    const lost = asNumber(entry.raw.lost);
    draft.put({ kind: "gap", id: draft.newId("gap"), at: entry.timestamp, lost });
  } else if (entry.type === "task_run_state") {
    draft.set({ status: String(entry.raw.status ?? "") });
  } else if (entry.type === "run.changes") {
    const numberOf = (name: string) => asNumber(entry.raw[name]) ?? 0;
    const [files, additions, deletions] = [numberOf("files"), numberOf("additions"), numberOf("deletions")];
    draft.set({ changes: { files, additions, deletions, tree: asText(entry.raw.tree) } });
  } else if (entry.method === "session/update") {
    updateOf(draft, entry);
  } else {
    notificationOf(draft, entry);
  }
}
