/** A modal dialog: the browser's own, which keeps the focus and closes by Escape. */
import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { IconButton } from "./controls";
import styles from "./dialog.module.css";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ title, onClose, children }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    ref.current?.showModal();
    // The browser gives the focus to the first control, which only closes the dialog.
    ref.current?.querySelector<HTMLElement>("[data-autofocus]")?.focus();
  }, []);
  // The browser says that it has closed a moment later: a key pressed until then would meet one that is still open.
  const close = () => {
    ref.current?.close();
    onClose();
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes; a click beside it only repeats that
    <dialog
      ref={ref}
      className={styles.dialog}
      aria-labelledby={id}
      onClose={onClose}
      onCancel={(event) => event.target === ref.current && close()}
      onClick={(event) => event.target === ref.current && close()}
    >
      <div className={styles.inner}>
        <header className="row apart">
          <h2 id={id}>{title}</h2>
          <IconButton label="Close" onClick={close} icon={X} />
        </header>
        {children}
      </div>
    </dialog>
  );
}
