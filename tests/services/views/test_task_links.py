"""Links to tasks in events, questions and pushes (contract 14)."""

from uuid import UUID

from app.services.views.task_links import task_link

TASK = UUID(int=7)


def test_link_is_the_one_of_the_setting_or_a_path_of_the_api() -> None:
    assert task_link("", 3, TASK) == f"/api/projects/3/tasks/{TASK}/"
    link = "https://app.example.com/{project_id}/tasks/{task_id}?p={project_id}"
    assert task_link(link, 3, TASK) == f"https://app.example.com/3/tasks/{TASK}?p=3"
