/** Writes to the agent: a message for the live run, or the first message of a run that resumes this one. */
import { ArrowUp, Square } from "lucide-react";
import { useRef, useState } from "react";
import type { Standing } from "../../transcript/items";
import { classes } from "../../ui/classes";
import { Button, IconButton, Select } from "../../ui/controls";
import { AttachButton, AttachmentList, fileTarget, useAttachments } from "../common/attachments";
import { useKeys } from "../common/keys";
import styles from "./composer.module.css";

interface Props {
  /** Where files go to. */
  uploads: string;
  placeholder: string;
  standing: Standing;
  sendLabel: string;
  isBusy: boolean;
  onSend: (text: string, files: string[], artifactIds: string[]) => void;
  onOption: ((id: string, value: string) => void) | null;
  /** Stops the turn; null while there is none. */
  onStop: (() => void) | null;
  draftKey: string;
}

export function Composer(props: Props) {
  const { uploads, placeholder, standing, sendLabel, isBusy, onSend, onOption, onStop, draftKey } = props;
  const [text, setText] = useState(() => sessionStorage.getItem(draftKey) ?? "");
  const files = useAttachments(uploads);
  const area = useRef<HTMLTextAreaElement>(null);
  useKeys({ i: () => area.current?.focus() });
  const isReady = (text.trim() !== "" || files.list.some(({ id }) => id)) && !files.isBusy && !isBusy;
  const write = (value: string) => {
    setText(value);
    sessionStorage.setItem(draftKey, value);
  };
  const send = () => {
    if (!isReady) return;
    const sent = files.list.filter(({ id }) => id);
    onSend(
      text.trim(),
      sent.map(({ file }) => file.name),
      sent.map(({ id }) => id ?? ""),
    );
    write("");
    files.clear();
  };
  const commands = text.startsWith("/") && !text.includes(" ") ? matching(standing, text.slice(1)) : [];
  return (
    <form
      className={styles.composer}
      {...fileTarget(files.add)}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {commands.length > 0 && (
        <ul className={styles.commands} aria-label="Commands of the agent">
          {commands.map(({ name, description }) => (
            <li key={name}>
              <button
                type="button"
                onClick={() => {
                  write(`/${name} `);
                  area.current?.focus();
                }}
              >
                <strong>/{name}</strong> <span>{description}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <AttachmentList list={files.list} onRemove={files.remove} />
      <textarea
        ref={area}
        className={styles.text}
        aria-label="Message to the agent"
        placeholder={placeholder}
        rows={1}
        value={text}
        onChange={(event) => write(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            send();
          } else if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      <div className={styles.bar}>
        <AttachButton onAdd={files.add} />
        {onOption &&
          standing.config.map((option) => (
            <Select
              key={option.id}
              className={styles.option}
              aria-label={option.name}
              value={option.value}
              onChange={(event) => onOption(option.id, event.target.value)}
            >
              {option.choices.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </Select>
          ))}
        <span className={styles.space} />
        {onStop && (
          <Button onClick={onStop}>
            <Square size={13} aria-hidden="true" /> Stop
          </Button>
        )}
        <IconButton
          label={sendLabel}
          type="submit"
          tone="primary"
          className={classes(styles.send)}
          disabled={!isReady}
        >
          <ArrowUp size={18} />
        </IconButton>
      </div>
    </form>
  );
}

function matching(standing: Standing, text: string) {
  return standing.commands
    .filter(({ name }) => name.toLowerCase().startsWith(text.toLowerCase()))
    .slice(0, 8);
}
