/** Creates a task or changes one, and starts a run of it unless it is only to be stored. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useLocation } from "wouter";
import * as api from "../../api/tasks";
import type { Acceptance, RunRequest, Task } from "../../api/types";
import { expectPage } from "../../ui/arrival";
import { classes } from "../../ui/classes";
import { Button, Form, Input, TextArea } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Failure, say } from "../../ui/feedback";
import { useKept } from "../../ui/kept";
import { takesText, useAction } from "../../ui/unmeant";
import { AttachButton, AttachmentList, useAttachments, useFileTarget } from "../attachments/attachments";
import { filesAt, hold } from "../attachments/held";
import { liveRunOf } from "../project/batch";
import { useProject } from "../project/project";
import * as start from "../project/RunChoices";
import { ChecksField, checkErrorOf, Unchecked, useNewest, withoutBlank } from "./ChecksField";
import styles from "./tasks.module.css";

const EMPTY = {
  title: "",
  description: "",
  repository: "",
  /** Undefined: as in the newest task of the repository, as the agent and its model are. */
  acceptance: undefined as Acceptance | null | undefined,
  choices: undefined as start.Choices | undefined,
};

/** What is new of a task that exists; all that is not empty of one that does not. */
function changesOf(written: typeof EMPTY, task: Task | undefined): api.TaskChange {
  const { title, description, repository } = written;
  const acceptance = withoutBlank(written.acceptance ?? null);
  const all = { title: title.trim(), description, repository, acceptance };
  const before = task ?? EMPTY;
  const isNew = ([name, value]: [string, unknown]) =>
    JSON.stringify(value || null) !== JSON.stringify(before[name as keyof api.TaskChange] || null);
  return Object.fromEntries(Object.entries(all).filter(isNew));
}

const REPOSITORY = /^[^/]+\/[^/]+$/;
const SUBMITS = { type: "submit" } as const;

interface Props {
  /** Absent: a new one. */
  task?: Task;
  begins?: "title" | "text";
  onClose: () => void;
}

export function TaskDialog({ task, begins = "text", onClose }: Props) {
  const { project, href } = useProject();
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  // What was not stored of a task that has changed meanwhile is forgotten.
  const place = task ? `taskbeacon.edit.${task.id}.${task.updated_at}` : `taskbeacon.new.${project.id}`;
  const lastRepository = `taskbeacon.repository.${project.id}`;
  const run = task?.latest_run ?? null;
  const [first] = useState(() => {
    if (!task) return { ...EMPTY, repository: localStorage.getItem(lastRepository) ?? "" };
    const { title, description, repository, acceptance } = task;
    const choices = run ? start.choicesOf(run) : start.draftChoices(task.id);
    return { title, description, repository: repository ?? "", acceptance, choices };
  });
  const [written, keep] = useKept(sessionStorage, place, first);
  const { title, description, repository } = written;
  const set = (changes: Partial<typeof EMPTY>) => keep({ ...written, ...changes });
  const filesPlace = task ? start.draftFiles(task.id) : `${place}.files`;
  const files = useAttachments(task ? localStorage : sessionStorage, filesPlace, null);
  const target = useFileTarget(files.add);
  const stored = useRef<Task | null>(null);
  const repositories = useQuery({
    queryKey: ["repositories", project.id],
    queryFn: () => api.fetchRepositories(project.id),
  });
  const isKnown = !task && repositories.data?.includes(repository.trim()) === true;
  const newest = useNewest(project.id, repository.trim(), isKnown);
  const { acceptance = newest?.acceptance ?? null } = written;
  const proposed = newest?.latest_run && { ...start.choicesOf(newest.latest_run), isInteractive: true };
  const { choices = proposed ?? start.USUAL } = written;

  const store = useAction({
    // Said in the dialog.
    onError: () => {},
    mutationFn: async (starts: boolean) => {
      // A failed upload or start is tried again with the task that exists.
      const known = stored.current ?? task;
      const changes = changesOf({ ...written, acceptance }, known);
      if (!known) stored.current = await api.createTask(project.id, changes);
      else if (Object.keys(changes).length)
        stored.current = await api.updateTask(project.id, known.id, changes);
      const now = stored.current ?? (known as Task);
      if (!now.latest_run) start.keepDraftChoices(now.id, choices);
      const ids = await files.uploadAll(api.stagedFiles(project.id, now.id));
      if (!starts) {
        if (!task) hold(localStorage, start.draftFiles(now.id), filesAt(sessionStorage, filesPlace));
        return now;
      }
      const request: RunRequest = {
        ...start.requestOf(choices),
        ...(run?.branch ? { branch: run.branch } : {}),
        ...(ids.length ? { pending_user_artifact_ids: ids } : {}),
      };
      const started = await api.startRun(project.id, now.id, request);
      start.keepDraftChoices(now.id, null);
      return started;
    },
    onSuccess: (now, starts) => {
      keep(null);
      if (starts || !task) files.clear();
      if (!task) localStorage.setItem(lastRepository, repository.trim());
      queries.setQueryData(["task", now.id], now);
      // So that the way back from the task does not open the dialog again.
      onClose();
      if (task && !starts) return say("Saved.");
      if (task) expectPage();
      navigate(href(`/tasks/${now.id}`));
    },
    refreshes: [["tasks", project.id], ...(task ? [["task", task.id]] : [])],
  });
  const missing = !description.trim()
    ? "Say what the agent shall do."
    : repository.trim() && !REPOSITORY.test(repository.trim())
      ? "Write the repository as organization/repository."
      : !files.isReady
        ? "A file is not ready."
        : !start.areWhole(choices) && "To start, choose a model.";
  const isReady = description.trim() !== "" && files.isReady && !store.isPending;
  const canStart = isReady && !missing;
  const startLabel = run ? "Save and run again" : task ? "Save and run" : "Start";

  return (
    <Dialog title={task ? "Edit task" : "New task"} onClose={onClose}>
      <Form
        className={classes("column spaced", target.isOver && "over")}
        {...target.handlers}
        // Enter in a field of a task that exists stores it, and starts nothing.
        onSubmit={() => (task ? isReady : canStart) && store.mutate(!task)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || !(event.metaKey || event.ctrlKey) || !takesText(event.target)) return;
          event.preventDefault();
          if (canStart) store.mutate(true);
        }}
      >
        {task && (
          <Input
            label="Title"
            data-autofocus={begins === "title" || undefined}
            maxLength={255}
            value={title}
            onChange={({ target: { value } }) => set({ title: value })}
          />
        )}
        <TextArea
          label="What shall the agent do?"
          data-autofocus={begins === "text" || undefined}
          rows={7}
          value={description}
          placeholder="Describe the result that you want, and how to check it."
          onChange={(event) => set({ description: event.target.value })}
        />
        <AttachmentList {...files} />
        <Input
          label="Repository"
          hint="organization/repository; empty: the agent begins with an empty folder"
          list="repositories"
          autoComplete="off"
          spellCheck={false}
          value={repository}
          onChange={(event) => set({ repository: event.target.value })}
        />
        <datalist id="repositories">
          {repositories.data?.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <ChecksField
          acceptance={acceptance}
          error={store.error}
          from={written.acceptance === undefined ? newest : undefined}
          // Without a check to prepare for, nobody sees what would be set up.
          onChange={(changed) => set({ acceptance: task || changed?.checks.length ? changed : null })}
        />
        {!withoutBlank(acceptance)?.checks.length && (!repository || REPOSITORY.test(repository.trim())) && (
          <Unchecked project={project.id} repository={repository.trim()} />
        )}
        <start.RunChoices choices={choices} onChange={(chosen) => set({ choices: chosen })} />
        {task && liveRunOf(task) && (
          <p className="small dim">The run under way keeps what it began with; the next one takes this.</p>
        )}
        {store.isError && !checkErrorOf(store.error) && <Failure error={store.error} />}
        <div className={classes("row wrap ends raised", styles.actions)}>
          <AttachButton onAdd={files.add} />
          <Button {...(task ? SUBMITS : { onClick: () => store.mutate(false) })} disabled={!isReady}>
            {task ? "Save" : "Save as draft"}
          </Button>
          <Button
            tone="primary"
            {...(task ? { onClick: () => store.mutate(true) } : SUBMITS)}
            disabled={!canStart}
          >
            {store.isPending ? "Working …" : startLabel}
          </Button>
          <p className={classes("small dim", styles.missing)} role="status">
            {missing}
          </p>
        </div>
        <start.BlockedAgents />
      </Form>
    </Dialog>
  );
}
