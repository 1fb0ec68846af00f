/** The filters are the API's own query, and stand in the address of the page. */
import { useQuery } from "@tanstack/react-query";
import type { RefObject } from "react";
import { fetchRepositories } from "../../api/tasks";
import { classes } from "../../ui/classes";
import { type Choices, Input, Select } from "../../ui/controls";
import { inWords } from "../../ui/counts";
import { useProject } from "../project/project";
import styles from "./tasks.module.css";

const STATUSES = ["queued", "in_progress", "completed", "failed", "cancelled"];
export const VERDICTS = ["refuted", "inconclusive", "claimed", "verified"];
const TOGGLES = ["mine", "archived"];

interface Props {
  search: URLSearchParams;
  /** Sets a parameter of the address; an empty value takes it out. */
  onSet: (name: string, value: string) => void;
  searchBox: RefObject<HTMLInputElement | null>;
}

export function Filters({ search, onSet: set, searchBox }: Props) {
  const { project } = useProject();
  const repositories = useQuery({
    queryKey: ["repositories", project.id],
    queryFn: () => fetchRepositories(project.id),
    staleTime: 60_000,
  });
  // A verdict is shown in the place of the state, and wanted there.
  const statuses = [...STATUSES, ...VERDICTS].map((status) => [status, inWords(status)] as const);
  const names = (repositories.data ?? []).map((name) => [name, name] as const);
  const selects: [name: string, label: string, choices: Choices][] = [
    ["status", "Status", [["", "Status"], ...statuses]],
    ["repository", "Repository", [["", "Repository"], ...names]],
  ];
  const chip = (name: string) => classes("card line dim", styles.chip, search.get(name) && styles.chipOn);
  return (
    <search className={classes("row wrap", styles.filters)}>
      <Input
        ref={searchBox}
        type="search"
        className={styles.search}
        aria-label="Search tasks"
        placeholder="Search title, description or number"
        value={search.get("search") ?? ""}
        onChange={(event) => set("search", event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
      />
      <div className="row">
        {selects.map(([name, label, choices]) => (
          <Select
            key={name}
            aria-label={label}
            className={classes(chip(name), "clip")}
            value={search.get(name) ?? ""}
            choices={choices}
            onChoose={(value) => set(name, value)}
          />
        ))}
        {TOGGLES.map((name) => (
          <button
            key={name}
            type="button"
            className={chip(name)}
            aria-pressed={search.has(name)}
            onClick={() => set(name, search.has(name) ? "" : "1")}
          >
            {inWords(name)}
          </button>
        ))}
      </div>
    </search>
  );
}
