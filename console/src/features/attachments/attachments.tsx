/** Files that go with a message: chosen, dropped or pasted, and uploaded while the message is written. */
import { Paperclip, RotateCw, X } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { errorText } from "../../api/errors";
import { MAX_FILE_BYTES, upload } from "../../api/uploads";
import { classes } from "../../ui/classes";
import { IconButton } from "../../ui/controls";
import { type Attachment, filesAt, hold, LOST, uploaded, useHeld } from "./held";

/** What can be done with the files that are held under `place`. */
function filesOf(storage: Storage, place: string) {
  const changeAll = (next: (before: Attachment[]) => Attachment[]) =>
    hold(storage, place, next(filesAt(storage, place)));
  const change = (changes: Partial<Attachment>, isMeant: (one: Attachment) => boolean) =>
    changeAll((before) => before.map((one) => (isMeant(one) ? { ...one, ...changes } : one)));
  return {
    add: (files: Iterable<File>) => {
      const added = [...files].map((file) => {
        const problem = file.size > MAX_FILE_BYTES ? "Larger than 30 MB." : null;
        const known = { file, progress: 0, problem: file.size ? problem : "The file is empty." };
        return { ...uploaded(file.name, null, null), ...known };
      });
      const isAgain = ({ name, problem }: Attachment) => problem && added.some((one) => one.name === name);
      changeAll((before) => [...before.filter((one) => !isAgain(one)), ...added]);
    },
    remove: (key: string) => changeAll((before) => before.filter((one) => one.key !== key)),
    retry: (key: string) => change({ base: null, problem: null }, (one) => one.key === key),
    clear: () => changeAll(() => []),
    send: async ({ key, file }: Attachment, to: string) => {
      // What still comes from an upload to an earlier place does not count.
      const show = (changes: Partial<Attachment>) =>
        change(changes, (one) => one.key === key && one.base === to);
      change({ base: to, id: null, progress: 0 }, (one) => one.key === key);
      try {
        if (!file) throw new Error(LOST);
        const id = await upload(to, file, (progress) => show({ progress }));
        show({ id, progress: 1 });
        return id;
      } catch (error) {
        show({ problem: errorText(error) });
        throw error;
      }
    },
  };
}

/** The files held under `place`. They go to `base`, and again when it changes; with null, to where `uploadAll` says. */
export function useAttachments(storage: Storage, place: string, base: string | null) {
  const list = useHeld(storage, place);
  const { send, ...files } = useMemo(() => filesOf(storage, place), [storage, place]);
  useEffect(() => {
    if (!base) return;
    for (const one of list) if (!one.problem && one.base !== base) void send(one, base).catch(() => {});
  }, [base, list, send]);
  return {
    ...files,
    list,
    /** Whether all can be sent now. */
    isReady: list.every(({ id, problem }) => !problem && (id || base === null)),
    uploadAll: (to: string) => Promise.all(list.map((one) => (one.base === to && one.id) || send(one, to))),
  };
}

const BAR = { width: 64, height: 6 };

export function AttachmentList({ list, remove, retry }: ReturnType<typeof useAttachments>) {
  if (list.length === 0) return null;
  const broken = list.filter(({ problem }) => problem).map(({ name }) => name);
  return (
    <>
      <ul className="row wrap" aria-label="Files">
        {list.map(({ key, name, file, base, progress, id, problem }) => (
          <li key={key} className={classes("row card snug small", problem && "bad")}>
            <Paperclip size={14} />
            <span className="clip fixed short">{name}</span>
            {problem ? (
              <span>{problem}</span>
            ) : (
              !id &&
              progress > 0 && <progress value={progress} style={BAR} aria-label={`Upload of ${name}`} />
            )}
            {problem && file && base && (
              <IconButton label={`Upload ${name} again`} onClick={() => retry(key)} icon={RotateCw} />
            )}
            <IconButton label={`Remove ${name}`} onClick={() => remove(key)} icon={X} />
          </li>
        ))}
      </ul>
      {broken.length > 0 && (
        <p className="small danger" role="status">
          Nothing is sent before you remove {broken.join(", ")}, or attach it again.
        </p>
      )}
    </>
  );
}

export function AttachButton({ onAdd }: { onAdd: (files: Iterable<File>) => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        onChange={(event) => {
          onAdd(event.target.files ?? []);
          event.target.value = "";
        }}
      />
      <IconButton label="Attach files" onClick={() => input.current?.click()} icon={Paperclip} />
    </>
  );
}

/** An element that takes files by dropping and pasting, and knows whether a file is held over it. */
export function useFileTarget(onAdd: (files: Iterable<File>) => void) {
  const [isOver, setOver] = useState(false);
  const handlers = {
    onPaste: (event: React.ClipboardEvent) => {
      if (event.clipboardData.files.length === 0) return;
      event.preventDefault();
      onAdd(event.clipboardData.files);
    },
    onDragOver: (event: React.DragEvent) => {
      event.preventDefault();
      setOver(event.dataTransfer.types.includes("Files"));
    },
    onDragLeave: (event: React.DragEvent) => {
      if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
    },
    onDrop: (event: React.DragEvent) => {
      event.preventDefault();
      setOver(false);
      onAdd(event.dataTransfer.files);
    },
  };
  return { isOver, handlers };
}
