/** Who else looks at a task now: initials, with the names as words. */
import { useQuery } from "@tanstack/react-query";
import { fetchViewers } from "../../api/tasks";
import type { UserBasic } from "../../api/types";
import { nameOf, useProject } from "./project";

// Presence changes each half minute.
const REFRESH_MS = 30_000;
const SHOWN = 3;

export function viewersByTask(rows: { task: string; user: UserBasic }[], self: number) {
  const found = new Map<string, UserBasic[]>();
  for (const { task, user } of rows) {
    if (user.id !== self) found.set(task, [...(found.get(task) ?? []), user]);
  }
  return found;
}

export function useViewers() {
  const { project, session } = useProject();
  const self = session.user.id;
  return useQuery({
    queryKey: ["viewers", project.id],
    queryFn: () => fetchViewers(project.id),
    refetchInterval: REFRESH_MS,
    select: (rows) => viewersByTask(rows, self),
  }).data;
}

export const initialsOf = (name: string): string =>
  (name.match(/(?<![^\s@.])[^\s@.]/gu) ?? []).slice(0, 2).join("").toUpperCase();

const listed = new Intl.ListFormat("en");

export function ViewerDots({ people }: { people: UserBasic[] | undefined }) {
  if (!people?.length) return null;
  const names = people.map(nameOf);
  const rest = people.length - SHOWN;
  const pills = [...names.slice(0, SHOWN).map(initialsOf), ...(rest > 0 ? [`+${rest}`] : [])];
  return (
    <span
      className="row inline tight fixed"
      role="img"
      aria-label={`Looking now: ${listed.format(names)}`}
      title={names.join(", ")}
    >
      {pills.map((text, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two people may have the same initials
        <span key={index} className="pill success" aria-hidden="true">
          {text}
        </span>
      ))}
    </span>
  );
}
