"""Tasks."""

from collections.abc import Mapping

from app.schemas.tasks import SummariesIn, TaskIn, TaskListQuery
from app.web.openapi.examples.documents import ARCHIVED_TASK, DONE_TASK, NEW_TASK, RUNBOOK, SUMMARY, TASK_ID
from app.web.openapi.examples.operation import OperationExamples, page

__all__ = ["TASK_EXAMPLES"]

TASK_EXAMPLES: Mapping[str, OperationExamples] = {
    "tasks_list": OperationExamples(answer=page(DONE_TASK), refused=(TaskListQuery, {"archived": "maybe"})),
    "tasks_create": OperationExamples(
        answer=NEW_TASK,
        bodies={
            "A runbook task": {"title": "Say hello", "description": RUNBOOK},
            "The least": {"description": "Fix the typo on the login page."},
            "A task in a repository, with a structured result": {
                "title": "Count the tests",
                "description": "Count the test functions of this repository.",
                "repository": "taskbeacon/taskbeacon",
                "json_schema": {
                    "type": "object",
                    "properties": {"tests": {"type": "integer"}},
                    "required": ["tests"],
                },
            },
        },
        refused=(TaskIn, {"repository": "taskbeacon"}),
    ),
    "tasks_repositories_retrieve": OperationExamples(answer={"repositories": ["taskbeacon/taskbeacon"]}),
    "tasks_summaries_create": OperationExamples(
        answer=page(SUMMARY),
        bodies={"Two tasks": {"ids": [str(TASK_ID), "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f41"]}},
        refused=(SummariesIn, {"ids": []}),
    ),
    "tasks_retrieve": OperationExamples(answer=DONE_TASK),
    "tasks_partial_update": OperationExamples(
        answer=ARCHIVED_TASK,
        bodies={"Put it away": {"archived": True}, "Rename it": {"title": "Say hello to everyone"}},
        refused=(TaskIn, {"archived": "maybe"}),
    ),
    "tasks_update": OperationExamples(
        answer=ARCHIVED_TASK,
        bodies={"Put it away": {"archived": True}},
        refused=(TaskIn, {"title": None}),
    ),
    "tasks_destroy": OperationExamples(),
}
