import { Dialog } from "../ui/dialog";
import { commandsNow, keyText } from "../ui/keys";
import styles from "./shell.module.css";

/** The keys of fields and questions, which are no commands. */
const OTHERS = [
  ["Enter", "Open, or send a message; on a touch screen: Ctrl Enter"],
  ["Shift Enter", "New line in a message"],
  ["Esc", "Leave the field"],
  ["1 to 9", "Choose that answer"],
  ["a, r", "Allow once, reject"],
  ["e", "On a question: explain it"],
] as const;

export function KeyboardHelp({ onClose }: { onClose: () => void }) {
  const commands = commandsNow().map((command) => [keyText(command), command.title] as const);
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl className={styles.keys}>
        {[...commands, ...OTHERS].map(([key, effect]) => (
          <div key={`${key} ${effect}`} className="row apart spaced">
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd className="dim">{effect}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
