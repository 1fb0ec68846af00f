"""What the examples show: a task, its runs, its people; with the types of `app.schemas`."""

from datetime import UTC, datetime
from uuid import UUID

from app.enums import Environment, OriginProduct, RunStatus
from app.schemas.runs import ArtifactOut, RunOut
from app.schemas.tasks import SummaryOut, TaskOut
from app.schemas.users import OrganizationOut, ProjectOut, UserBasic, UserOut

__all__ = [
    "ARCHIVED_TASK",
    "CALLER",
    "COMPLETED_RUN",
    "CREATOR",
    "DONE_TASK",
    "LOCAL_RUN",
    "LOG_ENTRY",
    "NEW_TASK",
    "PATCH",
    "PROJECT",
    "QUEUED_RUN",
    "RUNBOOK",
    "RUNNING_TASK",
    "RUN_IN_PROGRESS",
    "STORAGE",
    "SUMMARY",
    "TASK_ID",
]

_CREATED_AT = datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)
_COMPLETED_AT = datetime(2026, 3, 1, 10, 0, 42, 654321, tzinfo=UTC)
TASK_ID = UUID("019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40")
_RUN_ID = UUID("019ca8a6-9a40-7d11-8a5b-6c7d8e9f0a1b")
_ORGANIZATION_ID = UUID("019ca8a0-0000-7000-8000-0000000000a1")
STORAGE = f"tasks/artifacts/team_1/task_{TASK_ID}/run_{_RUN_ID}"

RUNBOOK = """\
Give the repository a page that says hello.

```file path=docs/hello.md
# Hello
```

```sh
grep -q Hello docs/hello.md
```
"""

CREATOR: UserBasic = {
    "id": 1,
    "uuid": UUID("019ca8a0-0000-7000-8000-0000000000b2"),
    "distinct_id": "f0a1b2c3d4e5",
    "first_name": "Ada",
    "last_name": "Example",
    "email": "ada@example.com",
    "is_email_verified": True,
    "hedgehog_config": None,
    "role_at_organization": None,
}

PATCH: ArtifactOut = {
    "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
    "name": "changes.patch",
    "type": "output",
    "source": "agent",
    "size": 213,
    "content_type": "text/x-patch",
    "storage_path": f"{STORAGE}/4b6f0c1d_changes.patch",
    "uploaded_at": "2026-03-01T10:00:42.600000+00:00",
}

QUEUED_RUN: RunOut = {
    "id": _RUN_ID,
    "task": TASK_ID,
    "stage": None,
    "branch": None,
    "status": RunStatus.QUEUED,
    "environment": Environment.CLOUD,
    "runtime_adapter": None,
    "provider": None,
    "model": None,
    "reasoning_effort": None,
    "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
    "error_message": None,
    "output": None,
    "state": {"mode": "background"},
    "artifacts": [],
    "created_at": _CREATED_AT,
    "updated_at": _CREATED_AT,
    "completed_at": None,
}

COMPLETED_RUN: RunOut = {
    **QUEUED_RUN,
    "status": RunStatus.COMPLETED,
    "output": {
        "head_branch": "taskbeacon/tes-12-8e9f0a1b",
        "head_sha": "5f1d7a84db4c0e2d5e4a9a2b6c3d8e7f90a1b2c3",
        "summary": "Done: 2 steps.",
        "files_changed": ["docs/hello.md"],
    },
    "artifacts": [PATCH],
    "updated_at": _COMPLETED_AT,
    "completed_at": _COMPLETED_AT,
}

LOCAL_RUN: RunOut = {**QUEUED_RUN, "environment": Environment.LOCAL}
RUN_IN_PROGRESS: RunOut = {**LOCAL_RUN, "status": RunStatus.IN_PROGRESS, "stage": "testing"}
LOG_ENTRY = {
    "type": "notification",
    "timestamp": "2026-03-01T10:00:07.250Z",
    "notification": {
        "jsonrpc": "2.0",
        "method": "session/update",
        "params": {
            "sessionId": "s1",
            "update": {
                "sessionUpdate": "agent_message",
                "content": {"type": "text", "text": "The page says hello now."},
            },
        },
    },
}

NEW_TASK: TaskOut = {
    "id": TASK_ID,
    "task_number": 12,
    "slug": "TES-12",
    "title": "Say hello",
    "title_manually_set": True,
    "description": RUNBOOK,
    "origin_product": OriginProduct.USER_CREATED,
    "repository": "taskbeacon/taskbeacon",
    "github_integration": None,
    "github_user_integration": None,
    "signal_report": None,
    "json_schema": None,
    "internal": False,
    "archived": False,
    "archived_at": None,
    "latest_run": None,
    "created_at": _CREATED_AT,
    "updated_at": _CREATED_AT,
    "created_by": CREATOR,
    "ci_prompt": None,
}
RUNNING_TASK: TaskOut = {**NEW_TASK, "latest_run": QUEUED_RUN}
DONE_TASK: TaskOut = {**NEW_TASK, "latest_run": COMPLETED_RUN}
ARCHIVED_TASK: TaskOut = {
    **DONE_TASK,
    "archived": True,
    "archived_at": _COMPLETED_AT,
    "updated_at": _COMPLETED_AT,
}

SUMMARY: SummaryOut = {
    "id": TASK_ID,
    "title": "Say hello",
    "repository": "taskbeacon/taskbeacon",
    "created_at": _CREATED_AT,
    "updated_at": _CREATED_AT,
    "latest_run": {"status": RunStatus.COMPLETED, "environment": Environment.CLOUD},
}

PROJECT: ProjectOut = {
    "id": 1,
    "uuid": UUID("019ca8a0-0000-7000-8000-0000000000c3"),
    "organization": _ORGANIZATION_ID,
    "project_id": 1,
    "api_token": "phc_8s7d6f5g4h3j2k1l",
    "name": "Test Team",
    "timezone": "UTC",
}
_ORGANIZATION: OrganizationOut = {"id": _ORGANIZATION_ID, "name": "Test Organization"}
CALLER: UserOut = {
    **CREATOR,
    "is_staff": False,
    "date_joined": _CREATED_AT,
    "team": PROJECT,
    "organization": _ORGANIZATION,
    "organizations": [_ORGANIZATION],
}
