/** Creates a task, and its first run unless it is kept as a draft. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useLocation } from "wouter";
import { createTask, fetchRepositories, type RunRequest, startRun } from "../../api/tasks";
import type { Task } from "../../api/types";
import { useAction } from "../../ui/action";
import { classes } from "../../ui/classes";
import { Button, Check, Field, Input, Select, TextArea } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Failure } from "../../ui/feedback";
import { AttachButton, AttachmentList, useAttachments, useFileTarget } from "../attachments/attachments";
import { useProject } from "../project/project";
import styles from "./tasks.module.css";

const AGENTS = [
  ["", "runbook (built in, needs no model)"],
  ["claude", "Claude Code"],
  ["codex", "Codex"],
] as const;
const DEFAULT_MODELS: Record<string, string> = { claude: "claude-sonnet-5", codex: "gpt-5.5" };

export function NewTask({ onClose }: { onClose: () => void }) {
  const { project, href } = useProject();
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const [description, setDescription] = useState("");
  const [repository, setRepository] = useState("");
  const [agent, setAgent] = useState("");
  const [model, setModel] = useState("");
  const [isInteractive, setInteractive] = useState(true);
  const files = useAttachments(null);
  const target = useFileTarget(files.add);
  const created = useRef<Task | null>(null);
  const repositories = useQuery({
    queryKey: ["repositories", project.id],
    queryFn: () => fetchRepositories(project.id),
  });

  const create = useAction({
    mutationFn: async (starts: boolean) => {
      const body = { description, ...(repository ? { repository } : {}) };
      // A failed upload or start is tried again with the task that exists.
      created.current ??= await createTask(project.id, body);
      const task = created.current;
      if (!starts) return task;
      const ids = await files.uploadAll(`/api/projects/${project.id}/tasks/${task.id}/staged_artifacts`);
      const run: RunRequest = {
        mode: isInteractive ? "interactive" : "background",
        ...(agent ? { runtime_adapter: agent, model } : {}),
        ...(ids.length ? { pending_user_artifact_ids: ids } : {}),
      };
      return startRun(project.id, task.id, run);
    },
    onSuccess: (task) => {
      void queries.invalidateQueries({ queryKey: ["tasks", project.id] });
      navigate(href(`/tasks/${task.id}`));
    },
  });
  const isReady = description.trim() !== "" && (!agent || model.trim() !== "") && !create.isPending;

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
        <Field label="What shall the agent do?">
          {(ids) => (
            <TextArea
              {...ids}
              data-autofocus
              rows={7}
              value={description}
              placeholder="Describe the result that you want, and how to check it."
              onChange={(event) => setDescription(event.target.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && (event.metaKey || event.ctrlKey) && isReady) create.mutate(true);
              }}
            />
          )}
        </Field>
        <AttachmentList list={files.list} onRemove={files.remove} />
        <Field
          label="Repository"
          hint="organization/repository; empty: the agent begins with an empty folder"
        >
          {(ids) => (
            <>
              <Input
                {...ids}
                list="repositories"
                autoComplete="off"
                spellCheck={false}
                value={repository}
                onChange={(event) => setRepository(event.target.value)}
              />
              <datalist id="repositories">
                {repositories.data?.map((name) => (
                  <option key={name} value={name} />
                ))}
              </datalist>
            </>
          )}
        </Field>
        <div className={styles.columns}>
          <Field label="Agent">
            {(ids) => (
              <Select
                {...ids}
                value={agent}
                onChange={(event) => {
                  setAgent(event.target.value);
                  setModel(DEFAULT_MODELS[event.target.value] ?? "");
                }}
              >
                {AGENTS.map(([value, name]) => (
                  <option key={value} value={value}>
                    {name}
                  </option>
                ))}
              </Select>
            )}
          </Field>
          {agent && (
            <Field label="Model">
              {(ids) => (
                <Input
                  {...ids}
                  value={model}
                  spellCheck={false}
                  onChange={(event) => setModel(event.target.value)}
                />
              )}
            </Field>
          )}
        </div>
        <Check checked={isInteractive} onChange={(event) => setInteractive(event.target.checked)}>
          Interactive: the agent asks you, and waits for messages after its turn
        </Check>
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
