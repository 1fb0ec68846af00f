/** Asks before a task is archived whose run is live, and says what becomes of the run. */
import { type Run, waitingFor } from "../../api/types";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import styles from "./run.module.css";

interface Props {
  run: Run;
  onArchive: (endsRun: boolean) => void;
  onClose: () => void;
}

export function ArchiveDialog({ run, onArchive, onClose }: Props) {
  return (
    <Dialog title="Archive this task?" onClose={onClose}>
      <p>{liveText(run)}</p>
      <div className={styles.archiving}>
        <Button data-autofocus onClick={onClose}>
          Do not archive
        </Button>
        <Button tone="danger" onClick={() => onArchive(true)}>
          End the run and archive
        </Button>
        <Button onClick={() => onArchive(false)}>Archive, and let it go on</Button>
      </div>
    </Dialog>
  );
}

function liveText(run: Run): string {
  if (run.status !== "in_progress") return "Its run waits for a worker. It would still start.";
  const waits = waitingFor(run);
  if (!waits) return "Its run is at work. It would go on, and keep its worker until it ends.";
  const asks = `asks “${waits.tool_call?.title ?? "May it go on?"}”`;
  return `Its agent ${waits.kind === "message" ? "waits for a message" : asks}. That would stay in your inbox, and the run would keep its worker while it waits.`;
}
