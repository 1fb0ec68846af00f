import { Button } from "../../ui/controls";
import { say, sayError } from "../../ui/feedback";
import styles from "./settings.module.css";

interface Props {
  secret: string;
  onDone: () => void;
  children: string;
}

/** A secret that the service shows once. */
export function Secret({ secret, onDone, children }: Props) {
  return (
    <div className={styles.box} role="status">
      <h3>Save this secret now</h3>
      <p className={styles.lead}>{children}</p>
      <code className={styles.secret}>{secret}</code>
      <div className={styles.actions}>
        {/* Without HTTPS a page may not write to the clipboard. */}
        {window.isSecureContext && (
          <Button
            onClick={() => void navigator.clipboard.writeText(secret).then(() => say("Copied."), sayError)}
          >
            Copy
          </Button>
        )}
        <Button tone="primary" onClick={onDone}>
          Done
        </Button>
      </div>
    </div>
  );
}
