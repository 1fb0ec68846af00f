"""Links to tasks for people, made from the setting `task_url`: a template with `{project_id}` and `{task_id}`."""

from uuid import UUID


def task_page(template: str, project_id: int, task_id: UUID) -> str:
    """Return the URL of the page that shows a task; an empty text if `template` is empty."""
    return template.replace("{project_id}", str(project_id)).replace("{task_id}", str(task_id))


def task_link(template: str, project_id: int, task_id: UUID) -> str:
    """Return the URL of the page that shows a task; if `template` is empty, the path of the task in the API."""
    return task_page(template, project_id, task_id) or f"/api/projects/{project_id}/tasks/{task_id}/"
