/**
 * Files that are not sent yet, by the place where they were attached. The page holds them in memory, so that they are there
 * when a person comes back; of a page that is loaded again the browser has kept only names, and what was uploaded.
 */
import { useSyncExternalStore } from "react";
import { readKept } from "../../ui/kept";
import { Store } from "../../ui/store";

export interface Attachment {
  key: string;
  name: string;
  /** null: of a page that is gone. */
  file: File | null;
  /** Where it was uploaded to; null: nowhere yet. */
  base: string | null;
  /** From 0 to 1. */
  progress: number;
  /** The artifact, once the store has the file. */
  id: string | null;
  problem: string | null;
}

/** What the browser keeps of one; `until` is in milliseconds since 1970. */
type Kept = Pick<Attachment, "name" | "base" | "id"> & { until: number };

export const LOST = "No longer attached.";
// The service keeps a staged file for 24 hours.
const KEPT_MS = 23 * 3600 * 1000;

const held = new Map<string, Attachment[]>();
const changes = new Store(held);

/** A file that the service has, without its content. */
export const uploaded = (name: string, base: string | null, id: string | null): Attachment => ({
  key: crypto.randomUUID(),
  name,
  file: null,
  base,
  progress: 1,
  id,
  problem: id ? null : LOST,
});

const restore = (storage: Storage, place: string) =>
  readKept<Kept[]>(storage, place)?.map(({ name, base, id, until }) =>
    uploaded(name, base, until > Date.now() ? id : null),
  );

export function filesAt(storage: Storage, place: string): Attachment[] {
  const list = held.get(place) ?? restore(storage, place) ?? [];
  held.set(place, list);
  return list;
}

export function hold(storage: Storage, place: string, list: Attachment[]): void {
  const until = Date.now() + KEPT_MS;
  if (list.length === 0) storage.removeItem(place);
  else storage.setItem(place, JSON.stringify(list.map(({ name, base, id }) => ({ name, base, id, until }))));
  changes.set(held.set(place, list));
}

export const useHeld = (storage: Storage, place: string) =>
  useSyncExternalStore(changes.subscribe, () => filesAt(storage, place));
