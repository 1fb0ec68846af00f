import { useLocation } from "wouter";
import { Select } from "../../ui/controls";
import { useProject } from "./project";

/** Changes the project, for people with several. */
export function ProjectSelect({ className }: { className: string }) {
  const { project, session } = useProject();
  const [, navigate] = useLocation();
  return (
    <Select
      aria-label="Project"
      className={className}
      value={project.id}
      choices={session.projects.map(({ id, name }) => [id, name])}
      onChoose={(id) => navigate(`~/console/projects/${id}/`)}
    />
  );
}
