"""Example bodies and answers of the published description, one entry for each operation.

They cannot drift from the service: answers have the types of `app.schemas` and pass through its encoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel

from app.enums import Environment, OriginProduct, RunStatus
from app.errors import ArtifactNotFound, RequestRefused, RunRefused, StateRefused
from app.schemas.health import LivenessOut, ReadinessOut
from app.schemas.run_artifacts import InlineIn, PathIn, SignedUrlOut
from app.schemas.run_logs import AppendIn, LogQuery
from app.schemas.runs import (
    ArtifactOut,
    RelayIn,
    RunCreateIn,
    RunIn,
    RunOut,
    RunUpdateIn,
    SetOutputIn,
    StartIn,
)
from app.schemas.staged_artifacts import FinalizeIn, PreparedOut, PrepareIn
from app.schemas.tasks import SummariesIn, SummaryOut, TaskIn, TaskListQuery, TaskOut
from app.schemas.users import OrganizationOut, ProjectOut, UserBasic, UserOut
from app.web.answers import Json
from app.web.push_examples import PUSH_EXAMPLES

__all__ = ["EXAMPLES", "OperationExamples", "on_the_wire"]

_CREATED_AT = datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)
_COMPLETED_AT = datetime(2026, 3, 1, 10, 0, 42, 654321, tzinfo=UTC)
_TASK_ID = UUID("019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40")
_RUN_ID = UUID("019ca8a6-9a40-7d11-8a5b-6c7d8e9f0a1b")
_ORGANIZATION_ID = UUID("019ca8a0-0000-7000-8000-0000000000a1")
_STORAGE = f"tasks/artifacts/team_1/task_{_TASK_ID}/run_{_RUN_ID}"

_RUNBOOK = """\
Give the repository a page that says hello.

```file path=docs/hello.md
# Hello
```

```sh
grep -q Hello docs/hello.md
```
"""

_USER: UserBasic = {
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

_PATCH: ArtifactOut = {
    "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
    "name": "changes.patch",
    "type": "output",
    "source": "agent",
    "size": 213,
    "content_type": "text/x-diff",
    "storage_path": f"{_STORAGE}/4b6f0c1d_changes.patch",
    "uploaded_at": "2026-03-01T10:00:42.600000+00:00",
}

_QUEUED_RUN: RunOut = {
    "id": _RUN_ID,
    "task": _TASK_ID,
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

_COMPLETED_RUN: RunOut = {
    **_QUEUED_RUN,
    "status": RunStatus.COMPLETED,
    "output": {
        "head_branch": "taskbeacon/tes-12-8e9f0a1b",
        "head_sha": "5f1d7a84db4c0e2d5e4a9a2b6c3d8e7f90a1b2c3",
        "summary": "Give the repository a page that says hello.",
        "files_changed": ["docs/hello.md"],
    },
    "artifacts": [_PATCH],
    "updated_at": _COMPLETED_AT,
    "completed_at": _COMPLETED_AT,
}

_LOCAL_RUN: RunOut = {**_QUEUED_RUN, "environment": Environment.LOCAL}
_RUN_IN_PROGRESS: RunOut = {**_LOCAL_RUN, "status": RunStatus.IN_PROGRESS, "stage": "testing"}
_LOG_ENTRY = {
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

_NEW_TASK: TaskOut = {
    "id": _TASK_ID,
    "task_number": 12,
    "slug": "TES-12",
    "title": "Say hello",
    "title_manually_set": True,
    "description": _RUNBOOK,
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
    "created_by": _USER,
    "ci_prompt": None,
}
_RUNNING_TASK: TaskOut = {**_NEW_TASK, "latest_run": _QUEUED_RUN}
_DONE_TASK: TaskOut = {**_NEW_TASK, "latest_run": _COMPLETED_RUN}
_ARCHIVED_TASK: TaskOut = {
    **_DONE_TASK,
    "archived": True,
    "archived_at": _COMPLETED_AT,
    "updated_at": _COMPLETED_AT,
}

_SUMMARY: SummaryOut = {
    "id": _TASK_ID,
    "title": "Say hello",
    "repository": "taskbeacon/taskbeacon",
    "created_at": _CREATED_AT,
    "updated_at": _CREATED_AT,
    "latest_run": {"status": RunStatus.COMPLETED, "environment": Environment.CLOUD},
}

_PROJECT: ProjectOut = {
    "id": 1,
    "uuid": UUID("019ca8a0-0000-7000-8000-0000000000c3"),
    "organization": _ORGANIZATION_ID,
    "project_id": 1,
    "api_token": "phc_8s7d6f5g4h3j2k1l",
    "name": "Test Team",
    "timezone": "UTC",
}
_ORGANIZATION: OrganizationOut = {"id": _ORGANIZATION_ID, "name": "Test Organization"}
_CALLER: UserOut = {
    **_USER,
    "is_staff": False,
    "date_joined": _CREATED_AT,
    "team": _PROJECT,
    "organization": _ORGANIZATION,
    "organizations": [_ORGANIZATION],
}

_ALIVE: LivenessOut = {"status": "ok"}
_READY: ReadinessOut = {"status": "ok", "database": "ok", "redis": "ok", "object_store": "ok"}

_STAGED_ID = "9c1f2e3d4b5a69788796a5b4c3d2e1f0"
_STAGED_PATH = f"tasks/artifacts/team_1/task_{_TASK_ID}/staged/{_STAGED_ID}/screenshot.png"
_STAGED: ArtifactOut = {
    "id": _STAGED_ID,
    "name": "screenshot.png",
    "type": "user_attachment",
    "source": "",
    "size": 48213,
    "content_type": "image/png",
    "storage_path": _STAGED_PATH,
    "uploaded_at": "2026-03-01T09:59:30.250000+00:00",
}
_PREPARED: PreparedOut = {
    "id": _STAGED_ID,
    "name": "screenshot.png",
    "type": "user_attachment",
    "source": "",
    "size": 48213,
    "content_type": "image/png",
    "storage_path": _STAGED_PATH,
    "expires_in": 3600,
    "presigned_post": {
        "url": "https://storage.example.com/taskbeacon",
        "fields": {"key": _STAGED_PATH, "policy": "eyJl…", "x-amz-signature": "5d41…"},
    },
}
_TO_PREPARE = {
    "artifacts": [
        {"name": "screenshot.png", "type": "user_attachment", "size": 48213, "content_type": "image/png"}
    ]
}
_TO_FINALIZE = {
    "artifacts": [
        {
            "id": _STAGED_ID,
            "name": "screenshot.png",
            "type": "user_attachment",
            "storage_path": _STAGED_PATH,
            "content_type": "image/png",
        }
    ]
}
_ON_RUN: ArtifactOut = {**_STAGED, "storage_path": f"{_STORAGE}/9c1f2e3d_screenshot.png"}
_SIGNED_URL: SignedUrlOut = {
    "url": f"https://storage.example.com/taskbeacon/{_PATCH['storage_path']}?X-Amz-Signature=…",
    "expires_in": 3600,
}
_UPLOAD_REFUSALS = {
    "The file was not uploaded": StateRefused("Artifact upload not found in object storage"),
    "The file is too large": StateRefused("screenshot.png exceeds the 30MB attachment limit"),
}
_NO_ARTIFACT = {"The run has no such file": ArtifactNotFound()}


def _page(item: Any) -> dict[str, Any]:
    return {"count": 1, "next": None, "previous": None, "results": [item]}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationExamples:
    """What to show for one operation."""

    answer: Any = None
    # Bodies to send, by what they are examples of.
    bodies: Mapping[str, Any] = field(default_factory=dict)
    # Input that the model refuses; the description shows the answer to it.
    refused: tuple[type[BaseModel], dict[str, Any]] | None = None
    # Answers that are not the envelope.
    refusals: Mapping[str, RequestRefused] = field(default_factory=dict)


EXAMPLES: Mapping[str, OperationExamples] = {
    "livez": OperationExamples(answer=_ALIVE),
    "readyz": OperationExamples(answer=_READY),
    "metrics": OperationExamples(
        answer='taskbeacon_http_requests_total{method="GET",route="/livez",status="200"} 1.0\n'
    ),
    "users_me_retrieve": OperationExamples(answer=_CALLER),
    "projects_list": OperationExamples(answer=_page(_PROJECT)),
    "tasks_list": OperationExamples(answer=_page(_DONE_TASK), refused=(TaskListQuery, {"archived": "maybe"})),
    "tasks_create": OperationExamples(
        answer=_NEW_TASK,
        bodies={
            "A runbook task": {"title": "Say hello", "description": _RUNBOOK},
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
        answer=_page(_SUMMARY),
        bodies={"Two tasks": {"ids": [str(_TASK_ID), "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f41"]}},
        refused=(SummariesIn, {"ids": []}),
    ),
    "tasks_retrieve": OperationExamples(answer=_DONE_TASK),
    "tasks_partial_update": OperationExamples(
        answer=_ARCHIVED_TASK,
        bodies={"Put it away": {"archived": True}, "Rename it": {"title": "Say hello to everyone"}},
        refused=(TaskIn, {"archived": "maybe"}),
    ),
    "tasks_update": OperationExamples(
        answer=_ARCHIVED_TASK,
        bodies={"Put it away": {"archived": True}},
        refused=(TaskIn, {"title": None}),
    ),
    "tasks_destroy": OperationExamples(),
    "tasks_run_create": OperationExamples(
        answer=_RUNNING_TASK,
        bodies={
            "Every default": {},
            "From a branch, with a message": {
                "branch": "main",
                "pending_user_message": "Keep the change small.",
            },
            "With Claude": {
                "runtime_adapter": "claude",
                "model": "claude-sonnet-5",
                "reasoning_effort": "high",
                "initial_permission_mode": "acceptEdits",
            },
        },
        refused=(RunIn, {"mode": "quick"}),
        refusals={
            "The run to resume is not one of this task": RunRefused("Invalid resume_from_run_id"),
            "An artifact is not there (any more)": RunRefused(
                "Some pending_user_artifact_ids are invalid or expired",
                missing_artifact_ids=["4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d"],
            ),
        },
    ),
    "tasks_staged_artifacts_prepare_upload_create": OperationExamples(
        answer={"artifacts": [_PREPARED]},
        bodies={"A screenshot": _TO_PREPARE},
        refused=(PrepareIn, {"artifacts": [{"name": "a.png", "type": "user_attachment", "size": 0}]}),
        refusals={"The form cannot be signed": StateRefused("Unable to generate upload URL")},
    ),
    "tasks_staged_artifacts_finalize_upload_create": OperationExamples(
        answer={"artifacts": [_STAGED]},
        bodies={"A screenshot": _TO_FINALIZE},
        refused=(FinalizeIn, {"artifacts": []}),
        refusals={
            "The path is another task's": StateRefused("Artifact storage path is invalid for this task"),
            **_UPLOAD_REFUSALS,
        },
    ),
    "tasks_runs_artifacts_create": OperationExamples(
        answer={"artifacts": [_PATCH]},
        bodies={
            "A text file": {
                "artifacts": [
                    {
                        "name": "plan.md",
                        "type": "plan",
                        "content": "1. Say hello.",
                        "content_type": "text/markdown",
                    }
                ]
            },
            "A binary file": {
                "artifacts": [
                    {
                        "name": "dot.gif",
                        "type": "output",
                        "content": "R0lGODlhAQABAAAAACw=",
                        "content_encoding": "base64",
                        "content_type": "image/gif",
                    }
                ]
            },
        },
        refused=(InlineIn, {"artifacts": []}),
        refusals={"The run has too many files": StateRefused("A run has at most 1000 artifacts")},
    ),
    "tasks_runs_artifacts_prepare_upload_create": OperationExamples(
        answer={"artifacts": [{**_PREPARED, "storage_path": _ON_RUN["storage_path"]}]},
        bodies={"A screenshot": _TO_PREPARE},
        refused=(PrepareIn, {"artifacts": "screenshot.png"}),
        refusals={"The form cannot be signed": StateRefused("Unable to generate upload URL")},
    ),
    "tasks_runs_artifacts_finalize_upload_create": OperationExamples(
        answer={"artifacts": [_ON_RUN]},
        bodies={
            "A screenshot": {
                "artifacts": [{**_TO_FINALIZE["artifacts"][0], "storage_path": _ON_RUN["storage_path"]}]
            }
        },
        refused=(FinalizeIn, {"artifacts": []}),
        refusals={
            "The path is another run's": StateRefused("Artifact storage path is invalid for this run"),
            **_UPLOAD_REFUSALS,
        },
    ),
    "tasks_runs_artifacts_presign_create": OperationExamples(
        answer=_SIGNED_URL,
        bodies={"The patch": {"storage_path": _PATCH["storage_path"]}},
        refused=(PathIn, {}),
        refusals=_NO_ARTIFACT,
    ),
    "tasks_runs_artifacts_download_create": OperationExamples(
        bodies={"The patch": {"storage_path": _PATCH["storage_path"]}},
        refused=(PathIn, {}),
        refusals=_NO_ARTIFACT,
    ),
    "tasks_runs_artifacts_download_retrieve": OperationExamples(refused=(PathIn, {}), refusals=_NO_ARTIFACT),
    "tasks_runs_list": OperationExamples(answer=_page(_COMPLETED_RUN)),
    "tasks_runs_retrieve": OperationExamples(answer=_COMPLETED_RUN),
    "tasks_runs_create": OperationExamples(
        answer=_LOCAL_RUN,
        bodies={"Performed here": {}, "For a worker, later": {"environment": "cloud", "branch": "main"}},
        refused=(RunCreateIn, {"environment": "moon"}),
        refusals={"The environment is not there": RunRefused("Invalid sandbox_environment_id")},
    ),
    "tasks_runs_partial_update": OperationExamples(
        answer=_RUN_IN_PROGRESS,
        bodies={
            "Say where it stands": {"status": "in_progress", "stage": "testing"},
            "Stop it": {"status": "cancelled"},
            "Change its state": {
                "state": {"mode": "interactive"},
                "state_remove_keys": ["snapshot_external_id"],
            },
        },
        refused=(RunUpdateIn, {"status": "sleeping"}),
        refusals={"The run is over": StateRefused("Run is already completed")},
    ),
    "tasks_runs_set_output_partial_update": OperationExamples(
        answer=_COMPLETED_RUN,
        bodies={"A result": {"output": {"tests": 42}}},
        refused=(SetOutputIn, {"output": "a\x00b"}),
        refusals={
            "It is not what the task asks for": StateRefused(
                "Output validation error: 'many' is not of type 'integer'"
            )
        },
    ),
    "tasks_runs_start_create": OperationExamples(
        answer=_RUNNING_TASK,
        bodies={
            "As it was created": {},
            "With a message": {"pending_user_message": "Keep the change small."},
        },
        refused=(StartIn, {"pending_user_message": None}),
        refusals={
            "The run is the client's": StateRefused("Only cloud runs can be started via this endpoint"),
            "The run has begun": StateRefused(
                "Only queued or not_started cloud runs can be started (current status: in_progress)"
            ),
            "A file is not one of the run's": RunRefused(
                "Some pending_user_artifact_ids are invalid for this run",
                missing_artifact_ids=["4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d"],
            ),
        },
    ),
    "tasks_runs_resume_in_cloud_create": OperationExamples(
        answer=_QUEUED_RUN,
        refusals={"A worker has it": StateRefused("Run is already active in cloud")},
    ),
    "tasks_runs_connection_token_retrieve": OperationExamples(answer={"token": "eyJhbGciOiJSUzI1NiJ9.…"}),
    "tasks_runs_append_log_create": OperationExamples(
        answer=_RUN_IN_PROGRESS,
        bodies={"A message of the agent": {"entries": [_LOG_ENTRY]}},
        refused=(AppendIn, {"entries": []}),
    ),
    "tasks_runs_relay_message_create": OperationExamples(
        answer={"status": "skipped"},
        bodies={"A message": {"text": "The page says hello now."}},
        refused=(RelayIn, {"text": ""}),
    ),
    "tasks_runs_logs_retrieve": OperationExamples(
        answer=orjson.dumps(_LOG_ENTRY).decode() + "\n",
    ),
    "tasks_runs_session_logs_retrieve": OperationExamples(
        answer=[_LOG_ENTRY], refused=(LogQuery, {"limit": "0"})
    ),
    **{name: OperationExamples(**parts) for name, parts in PUSH_EXAMPLES.items()},
}


def on_the_wire(value: Any) -> Any:
    """Return the JSON that a client would get for this answer."""
    return orjson.loads(Json(value).body)
