/** The files of a run: what was given to the agent, and what came out. */
import { Download, Folder } from "lucide-react";
import { downloadPath, type RunRef } from "../../api/commands";
import type { Run } from "../../api/types";
import { sizeText } from "../../ui/counts";
import { Empty } from "../../ui/feedback";
import { Age } from "../../ui/time";

export function FilesPane({ run, runRef }: { run: Run; runRef: RunRef }) {
  if (run.artifacts.length === 0) {
    return (
      <Empty icon={Folder} title="No files">
        <p>Files that you attach, the patch, and other files that the run leaves appear here.</p>
      </Empty>
    );
  }
  return (
    <ul className="padded">
      {run.artifacts.map((file) => (
        <li key={file.id}>
          <a
            className="row spaced line snug small faint"
            href={downloadPath(runRef, file.storage_path)}
            download={file.name}
          >
            <Download size={15} />
            <strong className="grow">{file.name}</strong>
            <span>{file.type === "user_attachment" ? "given" : file.type}</span>
            <span>{sizeText(file.size)}</span>
            {file.uploaded_at && <Age at={file.uploaded_at} />}
          </a>
        </li>
      ))}
    </ul>
  );
}
