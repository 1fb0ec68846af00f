/** A page that is read from top to bottom: its heading, what stands beside that, and its content. */
import type { ReactNode } from "react";
import { PageHeading } from "./heading";
import styles from "./page.module.css";

interface Props {
  title: string;
  isWide?: boolean;
  beside?: ReactNode;
  children: ReactNode;
}

export function Page({ title, isWide, beside, children }: Props) {
  return (
    <main className={styles.page} data-wide={isWide}>
      <header className="row apart spaced">
        <PageHeading>{title}</PageHeading>
        {beside}
      </header>
      {children}
    </main>
  );
}
