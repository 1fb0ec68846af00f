import { useLocation } from "wouter";
import { Select } from "../../ui/controls";
import { useProject } from "./project";

/** Changes the project, for people with several. */
export function ProjectSelect({ className, label }: { className?: string | undefined; label?: string }) {
  const { project, session } = useProject();
  const [, navigate] = useLocation();
  return (
    <Select
      {...(label ? { label } : { "aria-label": "Project" })}
      className={className}
      value={project.id}
      choices={session.projects.map(({ id, name }) => [id, name])}
      onChoose={(id) => navigate(`~/console/projects/${id}/`)}
    />
  );
}
