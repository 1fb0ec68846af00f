/** The filters are the API's own query, and stand in the address of the page. */
import { useQuery } from "@tanstack/react-query";
import { Search, X } from "lucide-react";
import type { RefObject } from "react";
import { fetchRepositories } from "../../api/tasks";
import { classes } from "../../ui/classes";
import { IconButton, Input, Select } from "../../ui/controls";
import { useProject } from "../project/project";
import styles from "./tasks.module.css";

const STATUSES = [
  ["", "Any status"],
  ["queued", "Queued"],
  ["in_progress", "In progress"],
  ["completed", "Completed"],
  ["failed", "Failed"],
  ["cancelled", "Cancelled"],
] as const;

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
  const text = search.get("search") ?? "";
  return (
    <search className={styles.filters}>
      <div className={styles.searchField}>
        <Search size={16} aria-hidden="true" />
        <Input
          ref={searchBox}
          type="search"
          aria-label="Search tasks"
          placeholder="Search title, description or number"
          value={text}
          onChange={(event) => set("search", event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
        />
        {text ? (
          <IconButton label="Clear the search" onClick={() => set("search", "")}>
            <X size={14} />
          </IconButton>
        ) : (
          <kbd aria-hidden="true">/</kbd>
        )}
      </div>
      <div className={styles.chips}>
        <Select
          aria-label="Status"
          className={classes(styles.chip, search.get("status") && styles.chipOn)}
          value={search.get("status") ?? ""}
          choices={STATUSES}
          onChoose={(value) => set("status", value)}
        />
        <Select
          aria-label="Repository"
          className={classes(styles.chip, search.get("repository") && styles.chipOn)}
          value={search.get("repository") ?? ""}
          choices={[
            ["", "Any repository"],
            ...(repositories.data ?? []).map((name) => [name, name] as const),
          ]}
          onChoose={(value) => set("repository", value)}
        />
        <Toggle name="Mine" isOn={search.has("mine")} onChange={(on) => set("mine", on ? "1" : "")} />
        <Toggle
          name="Archived"
          isOn={search.has("archived")}
          onChange={(on) => set("archived", on ? "1" : "")}
        />
      </div>
    </search>
  );
}

function Toggle({ name, isOn, onChange }: { name: string; isOn: boolean; onChange: (on: boolean) => void }) {
  return (
    <button
      type="button"
      className={classes(styles.chip, isOn && styles.chipOn)}
      aria-pressed={isOn}
      onClick={() => onChange(!isOn)}
    >
      {name}
    </button>
  );
}
