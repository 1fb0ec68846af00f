import styles from "./counts.module.css";

/** How many lines were added and removed. */
export function Counts({ additions, deletions }: { additions: number; deletions: number }) {
  return (
    <span className={styles.counts}>
      <span className={styles.plus}>+{additions}</span> <span className={styles.minus}>−{deletions}</span>
    </span>
  );
}

const KILO = 1024;

export function sizeText(bytes: number): string {
  if (bytes < KILO) return `${bytes} B`;
  return bytes < KILO * KILO ? `${(bytes / KILO).toFixed(1)} kB` : `${(bytes / KILO / KILO).toFixed(1)} MB`;
}
