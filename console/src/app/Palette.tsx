/** Goes to a task or a page by a few typed letters. */
import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useId, useState } from "react";
import { useLocation } from "wouter";
import { fetchTasks } from "../api/tasks";
import { useProject } from "../features/project/project";
import { titleOf } from "../features/project/runState";
import { classes } from "../ui/classes";
import { Input } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import styles from "./shell.module.css";

interface Choice {
  id: string;
  label: string;
  hint: string;
  to: string;
}

const PAGES: Choice[] = [
  { id: "tasks", label: "Tasks", hint: "page", to: "/" },
  { id: "new", label: "New task", hint: "action", to: "/?new=1" },
  { id: "inbox", label: "Inbox", hint: "page", to: "/inbox" },
  { id: "settings", label: "Settings", hint: "page", to: "/settings" },
];

export function Palette({ onClose }: { onClose: () => void }) {
  const { project, href } = useProject();
  const [, navigate] = useLocation();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const search = useDeferredValue(text.trim());
  const filters = search ? { search } : {};
  const found = useQuery({
    queryKey: ["tasks", project.id, filters, "palette"],
    queryFn: () => fetchTasks(project.id, filters, 8, 0),
    placeholderData: (before) => before,
  });
  const pages = PAGES.filter(({ label }) => label.toLowerCase().includes(text.trim().toLowerCase()));
  const tasks = (found.data?.results ?? []).map((task) => ({
    id: task.id,
    label: titleOf(task),
    hint: task.slug,
    to: `/tasks/${task.id}`,
  }));
  const choices = [...tasks, ...pages];
  const open = (choice: Choice | undefined) => {
    if (!choice) return;
    onClose();
    navigate(href(choice.to));
  };
  return (
    <Dialog title="Go to" onClose={onClose}>
      <Input
        data-autofocus
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={choices[at] ? `${id}-${at}` : undefined}
        aria-label="Task or page"
        placeholder="Type a part of a title, or a number"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt((before) => Math.min(before + 1, choices.length - 1));
          else if (event.key === "ArrowUp") setAt((before) => Math.max(before - 1, 0));
          else if (event.key === "Enter") open(choices[at]);
          else return;
          event.preventDefault();
        }}
      />
      <div id={id} role="listbox" aria-label="Tasks and pages" className={styles.choices}>
        {choices.map((choice, index) => (
          <div
            key={choice.id}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            className={classes(styles.choice, index === at && styles.here)}
            onClick={() => open(choice)}
            onKeyDown={(event) => event.key === "Enter" && open(choice)}
            onMouseMove={() => setAt(index)}
          >
            <span>{choice.label}</span>
            <span>{choice.hint}</span>
          </div>
        ))}
      </div>
    </Dialog>
  );
}
