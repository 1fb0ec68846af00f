import { classes } from "../../ui/classes";
import type { Choice } from "./completion";
import styles from "./composer.module.css";

interface Props {
  id: string;
  label: string;
  choices: Choice[];
  at: number;
  onChoose: (choice: Choice) => void;
  onPoint: (index: number) => void;
}

/** What can be completed, above the field that owns the keyboard. */
export function Suggestions({ id, label, choices, at, onChoose, onPoint }: Props) {
  return (
    <div id={id} role="listbox" aria-label={label} className={styles.choices}>
      {choices.map((choice, index) => (
        <div
          key={choice.value}
          id={`${id}-${index}`}
          role="option"
          tabIndex={-1}
          aria-selected={index === at}
          className={classes(styles.choice, index === at && styles.here)}
          // The field must not lose the focus.
          onMouseDown={(event) => event.preventDefault()}
          onMouseMove={() => onPoint(index)}
          onClick={() => onChoose(choice)}
          onKeyDown={(event) => event.key === "Enter" && onChoose(choice)}
        >
          <strong>{choice.label}</strong> <span>{choice.hint}</span>
        </div>
      ))}
    </div>
  );
}
