/** A list of choices below or above the field that owns the keyboard. */
import { type KeyboardEvent, useState } from "react";
import { classes } from "./classes";
import styles from "./listbox.module.css";

export interface Choice {
  /** Unique in its list. */
  value: string;
  label: string;
  hint: string;
}

interface Props<C extends Choice> {
  id: string;
  label: string;
  choices: readonly C[];
  at: number;
  onChoose: (choice: C) => void;
  onPoint: (index: number) => void;
}

export function Listbox<C extends Choice>({ id, label, choices, at, onChoose, onPoint }: Props<C>) {
  return (
    <div id={id} role="listbox" aria-label={label} className={styles.list}>
      {choices.map((choice, index) => (
        <div
          key={choice.value}
          id={`${id}-${index}`}
          ref={(element) => {
            if (index === at) element?.scrollIntoView?.({ block: "nearest" });
          }}
          role="option"
          tabIndex={-1}
          aria-selected={index === at}
          className={classes("row apart spaced", styles.choice, index === at && styles.here)}
          // The field must not lose the focus.
          onMouseDown={(event) => event.preventDefault()}
          onMouseMove={() => onPoint(index)}
          onClick={() => onChoose(choice)}
          onKeyDown={(event) => event.key === "Enter" && onChoose(choice)}
        >
          <span className="clip strong">{choice.label}</span>{" "}
          <span className="clip small dim">{choice.hint}</span>
        </div>
      ))}
    </div>
  );
}

/** Where the choice stands that Enter takes, and the keys that move it; the last returns whether it was one. */
export function useChosen<C extends Choice>(choices: readonly C[], onChoose: (choice: C) => void) {
  const [chosen, setAt] = useState(0);
  const at = Math.min(chosen, choices.length - 1);
  const onKey = ({ key }: KeyboardEvent): boolean => {
    const choice = choices[at];
    if (!choice) return false;
    if (key === "ArrowDown") setAt((at + 1) % choices.length);
    else if (key === "ArrowUp") setAt((at - 1 + choices.length) % choices.length);
    else if (key === "Enter") onChoose(choice);
    else return false;
    return true;
  };
  return { at, setAt, onKey };
}
