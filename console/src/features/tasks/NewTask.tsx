/** Creates a task, and its first run unless it is kept as a draft. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { useLocation } from "wouter";
import { createTask, fetchRepositories, type RunRequest, stagedFiles, startRun } from "../../api/tasks";
import type { Task } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button, Input, TextArea } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Failure } from "../../ui/feedback";
import { useKept } from "../../ui/kept";
import { useAction } from "../../ui/unmeant";
import { AttachButton, AttachmentList, useAttachments, useFileTarget } from "../attachments/attachments";
import { filesAt, hold } from "../attachments/held";
import { useProject } from "../project/project";
import { areWhole, draftFiles, keepDraftChoices, RunChoices, requestOf, USUAL } from "../project/RunChoices";
import styles from "./tasks.module.css";

const EMPTY = { description: "", repository: "", choices: USUAL };

export function NewTask({ onClose }: { onClose: () => void }) {
  const { project, href } = useProject();
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const [written, keep] = useKept(sessionStorage, `taskbeacon.new.${project.id}`, EMPTY);
  const { description, repository, choices } = written;
  const filesPlace = `taskbeacon.new.${project.id}.files`;
  const files = useAttachments(sessionStorage, filesPlace, null);
  const target = useFileTarget(files.add);
  const created = useRef<Task | null>(null);
  const repositories = useQuery({
    queryKey: ["repositories", project.id],
    queryFn: () => fetchRepositories(project.id),
  });

  const create = useAction({
    // Said in the dialog.
    onError: () => {},
    mutationFn: async (starts: boolean) => {
      const body = { description, ...(repository ? { repository } : {}) };
      // A failed upload or start is tried again with the task that exists.
      created.current ??= await createTask(project.id, body);
      const task = created.current;
      keepDraftChoices(task.id, choices);
      const ids = await files.uploadAll(stagedFiles(project.id, task.id));
      if (!starts) {
        hold(localStorage, draftFiles(task.id), filesAt(sessionStorage, filesPlace));
        return task;
      }
      const run: RunRequest = {
        ...requestOf(choices),
        ...(ids.length ? { pending_user_artifact_ids: ids } : {}),
      };
      const started = await startRun(project.id, task.id, run);
      keepDraftChoices(task.id, null);
      return started;
    },
    onSuccess: (task) => {
      keep(null);
      files.clear();
      void queries.invalidateQueries({ queryKey: ["tasks", project.id] });
      // So that the way back from the task does not open the dialog again.
      onClose();
      navigate(href(`/tasks/${task.id}`));
    },
  });
  const isReady = description.trim() !== "" && areWhole(choices) && files.isReady && !create.isPending;

  return (
    <Dialog title="New task" onClose={onClose}>
      <form
        className={classes(styles.form, target.isOver && styles.over)}
        {...target.handlers}
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) create.mutate(true);
        }}
      >
        <TextArea
          label="What shall the agent do?"
          data-autofocus
          rows={7}
          value={description}
          placeholder="Describe the result that you want, and how to check it."
          onChange={(event) => keep({ ...written, description: event.target.value })}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.metaKey || event.ctrlKey) && isReady) create.mutate(true);
          }}
        />
        <AttachmentList {...files} />
        <Input
          label="Repository"
          hint="organization/repository; empty: the agent begins with an empty folder"
          list="repositories"
          autoComplete="off"
          spellCheck={false}
          value={repository}
          onChange={(event) => keep({ ...written, repository: event.target.value })}
        />
        <datalist id="repositories">
          {repositories.data?.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <RunChoices choices={choices} onChange={(chosen) => keep({ ...written, choices: chosen })} />
        {create.isError && <Failure error={create.error} />}
        <div className={styles.actions}>
          <AttachButton onAdd={files.add} />
          <Button disabled={!isReady} onClick={() => create.mutate(false)}>
            Save as draft
          </Button>
          <Button tone="primary" type="submit" disabled={!isReady}>
            {create.isPending ? "Starting …" : "Start"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
