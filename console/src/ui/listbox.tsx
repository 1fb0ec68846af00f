/** A list of choices below or above the field that owns the keyboard. */
import { type KeyboardEvent, useId, useState } from "react";
import { classes } from "./classes";
import styles from "./listbox.module.css";

export interface Choice {
  /** Unique in its list. */
  value: string;
  label: string;
  hint: string;
}

/** The list, what its field has of it, and the keys: `onKey` returns whether one moved the choice, or took it by Enter. */
export function useListbox<C extends Choice>(
  label: string,
  choices: readonly C[],
  onChoose: (choice: C) => void,
) {
  const id = useId();
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
  const list = (
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
          onMouseMove={() => setAt(index)}
          onClick={() => onChoose(choice)}
          onKeyDown={(event) => event.key === "Enter" && onChoose(choice)}
        >
          <span className="clip strong fixed">{choice.label}</span>{" "}
          <span className="clip small dim">{choice.hint}</span>
        </div>
      ))}
    </div>
  );
  const field = { "aria-controls": id, "aria-activedescendant": choices[at] ? `${id}-${at}` : undefined };
  return { at, setAt, onKey, list, field };
}
