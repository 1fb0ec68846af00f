/** Goes to a task, or does what the page can do, by a few typed letters. */
import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useId, useState } from "react";
import { flushSync } from "react-dom";
import { useLocation } from "wouter";
import { fetchTasks } from "../api/tasks";
import { useProject } from "../features/project/project";
import { titleOf } from "../features/project/runState";
import { chooseLook, LOOKS } from "../ui/appearance";
import { Input } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { commandsNow, isKeyOnly } from "../ui/keys";
import { type Choice, Listbox, useChosen } from "../ui/listbox";

interface Action extends Choice {
  act: () => void;
}

/** What the page below the palette can do, and how the console looks. */
const actionsNow = (): Action[] => [
  ...commandsNow()
    .filter((command) => !isKeyOnly(command))
    .map(({ key, title, act }) => ({ value: `${key} ${title}`, label: title, hint: key, act })),
  ...LOOKS.flatMap(({ name, title, choices }) =>
    choices.map(([value, label]) => ({
      value: `${name} ${value}`,
      label: `${title}: ${label.toLowerCase()}`,
      hint: "",
      act: () => chooseLook(name, value),
    })),
  ),
];

export function Palette({ onClose }: { onClose: () => void }) {
  const { project, href } = useProject();
  const [, navigate] = useLocation();
  const [text, setText] = useState("");
  const [actions] = useState(actionsNow);
  const id = useId();
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const search = useDeferredValue(text.trim());
  const filters = search ? { search } : {};
  const found = useQuery({
    queryKey: ["tasks", project.id, filters, "palette"],
    queryFn: () => fetchTasks(project.id, filters, 8, 0),
    placeholderData: (before) => before,
  });
  const tasks = (found.data?.results ?? []).map((task) => ({
    value: task.id,
    label: titleOf(task),
    hint: task.slug,
    act: () => navigate(href(`/tasks/${task.id}`)),
  }));
  const rank = ({ label }: Action) => Number(!label.toLowerCase().startsWith(words[0] ?? ""));
  const matching = actions
    .filter(({ label }) => words.every((word) => label.toLowerCase().includes(word)))
    .sort((one, other) => rank(one) - rank(other));
  const choices: Action[] = words.length ? [...matching, ...tasks] : [...tasks, ...matching];
  const choose = ({ act }: Action) => {
    // What is below a modal dialog takes no focus.
    flushSync(onClose);
    act();
  };
  const { at, setAt, onKey } = useChosen(choices, choose);
  return (
    <Dialog title="Tasks and commands" onClose={onClose}>
      <Input
        data-autofocus
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={choices[at] ? `${id}-${at}` : undefined}
        aria-label="Task, page or command"
        placeholder="Type a part of a title or command, or a number"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => onKey(event) && event.preventDefault()}
      />
      <Listbox
        id={id}
        label="Tasks and commands"
        choices={choices}
        at={at}
        onChoose={choose}
        onPoint={setAt}
      />
    </Dialog>
  );
}
