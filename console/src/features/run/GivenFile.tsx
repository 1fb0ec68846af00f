/** A file that was given to the run: a picture is shown, a text opens in a tab, and any other one is downloaded. */
import { createContext, useContext, useState } from "react";
import { downloadPath, type RunRef } from "../../api/commands";
import type { Run } from "../../api/types";
import { Dialog } from "../../ui/dialog";
import styles from "./transcript.module.css";

/** The run whose transcript is shown. */
export const OfRun = createContext<{ run: Pick<Run, "artifacts">; runRef: RunRef } | null>(null);

export function GivenFile({ name: given }: { name: string }) {
  const [isShown, show] = useState(false);
  const shown = useContext(OfRun);
  const files = shown?.run.artifacts.filter(
    ({ type, name, id }) => type === "user_attachment" && (name === given || id === given),
  );
  const name = files?.[0]?.name ?? given;
  // Of several with one name, it is not known which one is meant.
  if (!shown || files?.length !== 1 || !files[0]) return name;
  const address = downloadPath(shown.runRef, files[0].storage_path);
  if (!/^image\/(png|jpeg|gif|webp)$/.test(files[0].content_type ?? ""))
    return (
      <a href={address} target="_blank" rel="noopener">
        {name}
      </a>
    );
  return (
    <>
      <button type="button" className="line link" onClick={() => show(true)}>
        {name}
      </button>
      {isShown && (
        <Dialog title={name} onClose={() => show(false)}>
          <img className={styles.picture} src={address} alt={name} />
        </Dialog>
      )}
    </>
  );
}
