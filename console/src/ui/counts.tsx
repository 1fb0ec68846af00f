import styles from "./counts.module.css";

/** How many lines were added and removed. */
export function Counts({ additions, deletions }: { additions: number; deletions: number }) {
  return (
    <span className={styles.counts}>
      <span className={styles.plus}>+{additions}</span> <span className={styles.minus}>−{deletions}</span>
    </span>
  );
}
