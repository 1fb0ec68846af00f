import { useState } from "react";

/** A value that a reload does not lose, as a text that is not sent yet. null forgets it. */
export function useKept<Value extends object>(
  storage: Storage,
  key: string,
  initial: Value,
): [value: Value, keep: (value: Value | null) => void] {
  const [value, setValue] = useState<Value>(() => ({ ...initial, ...read(storage, key) }));
  const keep = (next: Value | null) => {
    setValue(next ?? initial);
    if (next) storage.setItem(key, JSON.stringify(next));
    else storage.removeItem(key);
  };
  return [value, keep];
}

function read(storage: Storage, key: string): object {
  try {
    return JSON.parse(storage.getItem(key) ?? "{}");
  } catch {
    return {};
  }
}
