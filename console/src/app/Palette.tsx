/** Goes to a task, or does what the page can do, by a few typed letters. */
import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";
import { flushSync } from "react-dom";
import { useLocation } from "wouter";
import { fetchTasks } from "../api/tasks";
import { useProject } from "../features/project/project";
import { titleOf } from "../features/project/runState";
import { chooseTheme, THEMES } from "../ui/appearance";
import { Input } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { commandsNow, isKeyOnly, keyText } from "../ui/keys";
import { type Choice, useListbox } from "../ui/listbox";
import { useMedia } from "../ui/media";

interface Action extends Choice {
  act: () => void;
}

/** How many tasks stand beside the commands while nothing is typed. */
const RECENT = 4;
/** What every page has: the page's own commands stand before them. */
const GENERAL = new Set(["?", "g t", "g i", "g s", "c"]);
/** Where there is hardly a keyboard, as base.css says it. */
const TOUCH = "(hover: none), (pointer: coarse), (max-width: 760px)";
const UNLIKE = 3;

/** What the page below the palette can do, and how the console looks. */
const actionsNow = (isTouch: boolean): Action[] => [
  ...commandsNow()
    .filter((command) => !isKeyOnly(command) && !(isTouch && command.key === "?"))
    .sort((one, other) => Number(GENERAL.has(one.key)) - Number(GENERAL.has(other.key)))
    .map((command) => ({
      value: `${command.key} ${command.title}`,
      label: command.title,
      hint: isTouch ? "" : keyText(command),
      act: command.act,
    })),
  ...THEMES.map(([value, label]) => ({
    value: `theme ${value}`,
    label: `Theme: ${label.toLowerCase()}`,
    hint: "",
    act: () => chooseTheme(value),
  })),
];

export function Palette({ isMenu, onClose }: { isMenu: boolean; onClose: () => void }) {
  const { project, href } = useProject();
  const [, navigate] = useLocation();
  const [text, setText] = useState("");
  const isTouch = useMedia(TOUCH);
  const [actions] = useState(() => actionsNow(isTouch));
  const wanted = text.trim().toLowerCase();
  const words = wanted.split(/\s+/);
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
  /** How well a label fits: by its beginning, by beginnings of its words, by parts of it, not. */
  const rank = ({ label }: Action) => {
    const has = (part: (word: string) => string) =>
      words.every((word) => ` ${label.toLowerCase()}`.includes(part(word)));
    if (label.toLowerCase().startsWith(wanted)) return 0;
    return has((word) => ` ${word}`) ? 1 : has((word) => word) ? 2 : UNLIKE;
  };
  // A task may be found by its number or description.
  const fitting = () =>
    [...actions.filter((action) => rank(action) < UNLIKE), ...tasks].sort((a, b) => rank(a) - rank(b));
  const recent = tasks.slice(0, RECENT);
  // On a phone it is the menu of the page.
  const choices = wanted ? fitting() : isTouch ? [...actions, ...recent] : [...recent, ...actions];
  const choose = ({ act }: Action) => {
    // What is below a modal dialog takes no focus.
    flushSync(onClose);
    act();
  };
  const { setAt, onKey, list, field } = useListbox("Tasks and commands", choices, choose);
  return (
    <Dialog title="Tasks and commands" onClose={onClose}>
      <Input
        // The keyboard of a phone would cover the choices.
        data-autofocus={!isMenu || undefined}
        role="combobox"
        aria-expanded="true"
        {...field}
        aria-label="Task, page or command"
        placeholder="Type a part of a title or command, or a number"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => onKey(event) && event.preventDefault()}
      />
      {list}
    </Dialog>
  );
}
