import { createContext, useContext } from "react";

/** The row that was found last: it shows what it else folds. */
export const FoundRow = createContext<string | null>(null);
export const useIsFound = (id: string): boolean => useContext(FoundRow) === id;
