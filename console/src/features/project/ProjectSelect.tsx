import { useLocation } from "wouter";
import { Select } from "../../ui/controls";
import { useProject } from "./project";

/** Changes the project, for people with several. */
export function ProjectSelect({ className }: { className?: string | undefined }) {
  const { project, session } = useProject();
  const [, navigate] = useLocation();
  return (
    <Select
      aria-label="Project"
      className={className}
      value={project.id}
      onChange={(event) => navigate(`~/console/projects/${event.target.value}/`)}
    >
      {session.projects.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </Select>
  );
}
