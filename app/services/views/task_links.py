"""The slug of a task, and links to it by the setting `task_url`."""

from functools import lru_cache
from uuid import UUID


def task_page(template: str, project_id: int, task_id: UUID) -> str:
    """Return the URL of the page that shows a task; an empty text if `template` is empty."""
    return template.replace("{project_id}", str(project_id)).replace("{task_id}", str(task_id))


def task_link(template: str, project_id: int, task_id: UUID) -> str:
    """Return the URL of the page that shows a task; if `template` is empty, the path of the task in the API."""
    return task_page(template, project_id, task_id) or f"/api/projects/{project_id}/tasks/{task_id}/"


_PREFIX_LENGTH = 3
_FALLBACK_PREFIX = "TSK"


@lru_cache(maxsize=1024)
def slug_prefix(project_name: str) -> str:
    """Return the prefix of the slugs of a project's tasks, made from the project's name (contract 10.1)."""
    letters = [character for character in project_name if character.isalnum()]
    capitals = [character for character in letters if character.isupper()]
    chosen = capitals if len(capitals) >= _PREFIX_LENGTH else letters
    return "".join(chosen[:_PREFIX_LENGTH]).upper() or _FALLBACK_PREFIX


def slug(prefix: str, task_number: int | None) -> str:
    """Return the slug of a task, such as `ABC-12`. It is empty for a task that was created before tasks had numbers."""
    return "" if task_number is None else f"{prefix}-{task_number}"
