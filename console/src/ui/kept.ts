import { useCallback, useState } from "react";

/** A value that a reload does not lose, as a text that is not sent yet. null forgets it. `initial` is a constant. */
export function useKept<Value extends object>(storage: Storage, key: string, initial: Value) {
  const [value, setValue] = useState<Value>(() => ({ ...initial, ...readKept(storage, key) }));
  const keep = useCallback(
    (next: Value | null) => {
      if (next) storage.setItem(key, JSON.stringify(next));
      else storage.removeItem(key);
      setValue(next ?? initial);
    },
    [storage, key, initial],
  );
  return [value, keep] as const;
}

/** Return what is kept there; null: nothing, or what cannot be read. */
export function readKept<Value extends object>(storage: Storage, key: string): Value | null {
  try {
    return JSON.parse(storage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}
