/** Writes to the agent: a message for the live run, or the first message of a run that resumes this one. */
import { ArrowUp, Square } from "lucide-react";
import { type RefObject, useState } from "react";
import type { Standing } from "../../transcript/items";
import { classes } from "../../ui/classes";
import { Button, Form, Select } from "../../ui/controls";
import { useKeys } from "../../ui/keys";
import { type Choice, useListbox } from "../../ui/listbox";
import { useMedia } from "../../ui/media";
import { AttachButton, AttachmentList, useAttachments, useFileTarget } from "../attachments/attachments";
import { choicesFor, complete, completionAt } from "./completion";
import styles from "./composer.module.css";

export interface Written {
  text: string;
  files: string[];
  artifactIds: string[];
  /** Whether it waits for the end of the turn. */
  isKept: boolean;
}

/** Choices that say nothing without the name of what is chosen. */
const VAGUE = /^(on|off|default)$/i;

const WHEN = [
  ["now", "Steer now"],
  ["kept", "After this turn"],
] as const;

interface Props {
  /** Under what files are held until they are sent. */
  filesPlace: string;
  /** Where they go to. */
  uploads: string;
  placeholder: string;
  standing: Standing;
  /** The files that can be named by `@`. */
  known: readonly string[];
  sendLabel: string;
  /** What the button says of it, where sending does more than to send. */
  sendText?: string;
  isBusy: boolean;
  /** Its field, to be focused from elsewhere. */
  area: RefObject<HTMLTextAreaElement | null>;
  text: string;
  onText: (text: string) => void;
  onSend: (message: Written) => void;
  /** Whether the agent may take messages in the middle of its turn. */
  isSteered?: boolean;
  onOption?: (id: string, value: string) => void;
  /** Stops the turn; null while there is none. */
  onStop?: (() => void) | null;
}

export function Composer(props: Props) {
  const { filesPlace, uploads, placeholder, standing, known, sendLabel, isBusy, area, text, onText } = props;
  const { onSend, isSteered, onOption, onStop = null, sendText } = props;
  // The keyboard of a phone has no Shift+Enter.
  const isTouch = useMedia("(pointer: coarse)");
  const files = useAttachments(sessionStorage, filesPlace, uploads);
  const target = useFileTarget(files.add);
  const [isKept, setKept] = useState(false);
  useKeys({ i: ["Write a message", () => area.current?.focus()] });
  const isReady = (text.trim() !== "" || files.list.length > 0) && files.isReady && !isBusy;
  const send = () => {
    if (!isReady) return;
    onSend({
      text: text.trim(),
      files: files.list.map(({ name }) => name),
      artifactIds: files.list.map(({ id }) => id ?? ""),
      isKept: isKept && onStop !== null,
    });
    onText("");
    files.clear();
  };
  const suggestions = useSuggestions(area, text, onText, (completion) =>
    choicesFor(completion, standing, known),
  );
  return (
    <Form
      className={classes("column", styles.composer, target.isOver && "over")}
      {...target.handlers}
      onSubmit={send}
    >
      {suggestions.list}
      <AttachmentList {...files} />
      <textarea
        ref={area}
        className={styles.text}
        aria-label="Message to the agent"
        {...suggestions.field}
        placeholder={placeholder}
        rows={1}
        enterKeyHint={isTouch ? "enter" : "send"}
        value={text}
        onChange={(event) => {
          onText(event.target.value);
          suggestions.onCaret(event.target.selectionStart);
        }}
        onSelect={(event) => suggestions.onCaret(event.currentTarget.selectionStart)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing || suggestions.onKey(event)) return;
          if (event.key === "Enter" && !event.shiftKey && (!isTouch || event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            send();
          } else if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      <div className="row wrap">
        <AttachButton onAdd={files.add} />
        <div className={classes("row tight grow scrolled", styles.options)}>
          {onOption &&
            standing.config.map((option) => (
              <Select
                key={option.id}
                quiet
                className={styles.option}
                aria-label={option.name}
                title={option.name}
                value={option.value}
                choices={option.choices.map(({ id, name }) => [
                  id,
                  VAGUE.test(name) ? `${option.name}: ${name}` : name,
                ])}
                onChoose={(value) => onOption(option.id, value)}
              />
            ))}
        </div>
        {onStop && (
          <Select
            quiet
            className={styles.option}
            aria-label="When the agent gets the message"
            title="At once: in the middle of its turn, if the agent takes messages then. After the turn: it waits, and can be changed on each of your devices."
            value={isKept || !isSteered ? "kept" : "now"}
            choices={WHEN.slice(isSteered ? 0 : 1)}
            onChoose={(value) => setKept(value === "kept")}
          />
        )}
        {onStop && (
          <Button onClick={onStop}>
            <Square size={13} className="at-desk" /> Stop
          </Button>
        )}
        <Button
          aria-label={sendLabel}
          title={sendLabel}
          type="submit"
          tone="primary"
          className={styles.send}
          disabled={!isReady}
        >
          {sendText} <ArrowUp size={18} />
        </Button>
      </div>
    </Form>
  );
}

/** The list of choices for what is typed at the caret, with its keys: arrows, Enter or Tab, Escape. */
function useSuggestions(
  area: React.RefObject<HTMLTextAreaElement | null>,
  text: string,
  onText: (text: string) => void,
  choose: (completion: NonNullable<ReturnType<typeof completionAt>>) => Choice[],
) {
  const [caret, setCaret] = useState(0);
  /** The text for which the list was closed. */
  const [closedFor, setClosedFor] = useState<string | null>(null);
  const completion = closedFor === text ? null : completionAt(text, caret);
  const choices = completion ? choose(completion) : [];
  const take = (choice: Choice) => {
    if (!completion) return;
    const [after, place] = complete(text, completion, choice);
    onText(after);
    setCaret(place);
    requestAnimationFrame(() => {
      area.current?.focus();
      area.current?.setSelectionRange(place, place);
    });
  };
  const label = completion?.kind === "file" ? "Files of the run" : "Commands of the agent";
  const { at, setAt, onKey: onListKey, list, field } = useListbox(label, choices, take);
  const isOpen = choices.length > 0;
  const onKey = (event: React.KeyboardEvent): boolean => {
    if (!isOpen || event.shiftKey) return false;
    if (event.key === "Tab" && choices[at]) take(choices[at]);
    else if (event.key === "Escape") setClosedFor(text);
    else if (!onListKey(event)) return false;
    event.preventDefault();
    return true;
  };
  return {
    onKey,
    onCaret: (place: number) => {
      setCaret(place);
      setAt(0);
    },
    field: { "aria-autocomplete": "list" as const, ...(isOpen ? field : {}) },
    list: isOpen && list,
  };
}
