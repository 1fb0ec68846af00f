import { useEffect, useState } from "react";

/** Longer than it takes to tap or press a key for what stood there before, shorter than reading a question. */
export const UNREAD_MS = 700;

/**
 * Whether what is shown has not been at its place for long enough to be read: a tap or a key was meant for what stood
 * there before. `place` changes whenever it moves.
 */
export function useUnread(place: string): boolean {
  const [read, setRead] = useState<string | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => setRead(place), UNREAD_MS);
    return () => {
      clearTimeout(timer);
      setRead(null);
    };
  }, [place]);
  return read !== place;
}
