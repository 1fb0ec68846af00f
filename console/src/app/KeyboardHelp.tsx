import { Dialog } from "../ui/dialog";
import styles from "./shell.module.css";

const KEYS: [section: string, keys: [key: string, effect: string][]][] = [
  [
    "Everywhere",
    [
      ["?", "Show this list"],
      ["⌘ K or Ctrl K", "Go to a task or a page"],
      ["g t", "Tasks"],
      ["g i", "Inbox"],
      ["g s", "Settings"],
      ["c", "New task"],
    ],
  ],
  [
    "Tasks and inbox",
    [
      ["j, k", "Next, previous"],
      ["Enter", "Open"],
      ["/", "Search"],
    ],
  ],
  [
    "Run",
    [
      ["i", "Write a message"],
      ["Enter", "Send it; on a touch screen: Ctrl Enter"],
      ["Shift Enter", "New line"],
      ["Esc", "Leave the field"],
      ["1 to 9", "Choose that answer"],
      ["a, r", "Allow once, reject"],
      ["p, then 1 to 5", "Show a pane: changes, plan, checks, files, notifications"],
      ["G", "Jump to the latest"],
      ["e", "Archive the task; on a question: explain it"],
    ],
  ],
  [
    "Changes",
    [
      ["j, k", "Next, previous file"],
      ["v", "Mark the file as viewed"],
    ],
  ],
];

export function KeyboardHelp({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <div className={styles.keys}>
        {KEYS.map(([section, keys]) => (
          <section key={section}>
            <h3>{section}</h3>
            <dl>
              {keys.map(([key, effect]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{effect}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
