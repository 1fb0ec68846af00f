/** Files that go with a message: chosen, dropped or pasted, and uploaded while the message is written. */
import { Paperclip, X } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { errorText } from "../../api/errors";
import { MAX_FILE_BYTES, upload } from "../../api/uploads";
import { IconButton } from "../../ui/controls";
import styles from "./attachments.module.css";

export interface Attachment {
  key: string;
  file: File;
  /** From 0 to 1. */
  progress: number;
  /** The artifact, once the store has the file. */
  id: string | null;
  problem: string | null;
}

export interface Attachments {
  list: Attachment[];
  add: (files: Iterable<File>) => void;
  remove: (key: string) => void;
  clear: () => void;
  isBusy: boolean;
}

/**
 * `base` says where to upload to; when it changes, the files are uploaded there again. null keeps the files until
 * `uploadAll` is called with an address.
 */
export function useAttachments(
  base: string | null,
): Attachments & { uploadAll: (base: string) => Promise<string[]> } {
  const [list, setList] = useState<Attachment[]>([]);
  const current = useRef(list);
  current.current = list;
  const target = useRef(base);
  target.current = base;
  const change = useCallback((key: string, changes: Partial<Attachment>) => {
    setList((before) => before.map((one) => (one.key === key ? { ...one, ...changes } : one)));
  }, []);
  const send = useCallback(
    async (one: Attachment, to: string) => {
      const show = (changes: Partial<Attachment>) => {
        // What still comes from an upload to the earlier place does not count.
        if (target.current === null || target.current === to) change(one.key, changes);
      };
      try {
        const id = await upload(to, one.file, (progress) => show({ progress }));
        show({ id, progress: 1 });
        return id;
      } catch (error) {
        show({ problem: errorText(error) });
        throw error;
      }
    },
    [change],
  );
  const uploaded = useRef(base);
  useEffect(() => {
    if (!base || uploaded.current === base) return;
    uploaded.current = base;
    for (const one of current.current) {
      if (one.problem) continue;
      change(one.key, { id: null, progress: 0 });
      void send(one, base).catch(() => {});
    }
  }, [base, change, send]);
  const add = useCallback(
    (files: Iterable<File>) => {
      const added = [...files].map((file) => ({
        key: crypto.randomUUID(),
        file,
        progress: 0,
        id: null,
        problem:
          file.size === 0 ? "The file is empty." : file.size > MAX_FILE_BYTES ? "Larger than 30 MB." : null,
      }));
      setList((before) => [...before, ...added]);
      if (base) for (const one of added) if (!one.problem) void send(one, base).catch(() => {});
    },
    [base, send],
  );
  return {
    list,
    add,
    remove: useCallback((key) => setList((before) => before.filter((one) => one.key !== key)), []),
    clear: useCallback(() => setList([]), []),
    isBusy: base !== null && list.some((one) => !one.id && !one.problem),
    uploadAll: useCallback(
      (to) =>
        Promise.all(current.current.filter((one) => !one.problem).map((one) => one.id ?? send(one, to))),
      [send],
    ),
  };
}

export function AttachmentList({ list, onRemove }: { list: Attachment[]; onRemove: (key: string) => void }) {
  if (list.length === 0) return null;
  return (
    <ul className={styles.list} aria-label="Files">
      {list.map(({ key, file, progress, id, problem }) => (
        <li key={key} className={problem ? styles.broken : undefined}>
          <Paperclip size={14} aria-hidden="true" />
          <span className={styles.name}>{file.name}</span>
          {problem ? (
            <span>{problem}</span>
          ) : (
            !id && progress > 0 && <progress value={progress} aria-label={`Upload of ${file.name}`} />
          )}
          <IconButton label={`Remove ${file.name}`} className={styles.remove} onClick={() => onRemove(key)}>
            <X size={14} />
          </IconButton>
        </li>
      ))}
    </ul>
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
      <IconButton label="Attach files" onClick={() => input.current?.click()}>
        <Paperclip size={16} />
      </IconButton>
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
