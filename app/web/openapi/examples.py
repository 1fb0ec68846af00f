"""Examples in the OpenAPI document: request bodies by model, and responses that schemas cannot express.

Examples of responses are next to the fields of `app.schemas`; `document.py` puts them together.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel

from app.api_limits import BODY_BYTES
from app.enums import EventType, LimitType
from app.errors import (
    AlreadyAnswered,
    AppError,
    ArtifactNotFound,
    AuthenticationFailed,
    BodyTooLarge,
    EventsMissing,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    PermissionDenied,
    QuestionChanged,
    QuestionClosed,
    RequestRefused,
    RunRefused,
    SessionEnded,
    StateRefused,
    Throttled,
    Unavailable,
    UnsupportedMediaType,
    UsageLimitExceeded,
)
from app.schemas.console import SignIn
from app.schemas.notifications import PreferencesIn, PushTestIn
from app.schemas.push_tokens import PresenceIn, PresenceLeaveIn, PushTokenIn, UnregisterIn
from app.schemas.questions import ActionIn, AnswerIn, SnoozeIn
from app.schemas.runs.artifacts import InlineIn, PathIn
from app.schemas.runs.commands import CommandIn
from app.schemas.runs.logs import AppendIn
from app.schemas.runs.runs import RelayIn, RunCreateIn, RunIn, RunUpdateIn, SetOutputIn, StartIn
from app.schemas.sandbox_environments import SandboxEnvironmentIn, SandboxEnvironmentUpdateIn
from app.schemas.staged_artifacts import FinalizeIn, PrepareIn
from app.schemas.tasks import SummariesIn, TaskIn
from app.schemas.webhook_endpoints import EndpointIn, EndpointUpdateIn, RecoverIn, RotateIn
from app.services.events.catalogue import CATALOGUE, published_types

_FILE_ID = "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d"
_DEVICE = {"device_id": "019ca8a6-1111-7c3e-9f62-0b5c1d2e3f40"}
_TOKEN = "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]"  # noqa: S105 - an example
_FILE = {"name": "screenshot.png", "type": "user_attachment", "content_type": "image/png"}
_PATH = "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_screenshot.png"
_RUNBOOK = """\
Write a page that says hello.

```file path=docs/hello.md
# Hello
```

```sh
grep -q Hello docs/hello.md
```
"""
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
_EVENT = {
    "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
    "seq": 42,
    **CATALOGUE[EventType.RUN_COMPLETED].example,
}
_QUESTION_EVENT = {**_EVENT, **CATALOGUE[EventType.QUESTION_OPENED].example}
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_NOT_SECURE = InvalidInput("A URL with a public name must use https on port 443.", attr="url")
_DISABLED = InvalidInput("The endpoint is disabled; enable it first.")


def _command(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}


BODIES: Mapping[type[BaseModel], Mapping[str, Any]] = {
    SignIn: {
        "With an API key": {"api_key": "phx_…"},
        "With a login link": {"code": "The part of the link after #"},
    },
    AnswerIn: {
        "Allow once": {"option_id": "allow", "digest": _DIGEST},
        "Reject, with a reason": {"option_id": "reject", "custom_input": "Deploy to staging first."},
        "Fill in a form": {"action": "accept", "content": {"question_0": "Blue"}},
        "Decline a form, or to open a page": {"action": "decline"},
        "Send the next message": {"text": "Now write the tests."},
    },
    ActionIn: {
        "A token that names an option": {},
        "A token of a page": {"option_id": "allow"},
    },
    SnoozeIn: {
        "For an hour": {"seconds": 3600},
    },
    TaskIn: {
        "A runbook task": {"title": "Say hello", "description": _RUNBOOK},
        "A minimal task": {"description": "Fix the typo on the login page."},
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
        "Archive (update)": {"archived": True},
    },
    SummariesIn: {"Two tasks": {"ids": [f"019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f4{n}" for n in range(2)]}},
    RunIn: {
        "All defaults": {},
        "From a branch, with a message": {"branch": "main", "pending_user_message": "Keep the change small."},
        "With Claude": {
            "runtime_adapter": "claude",
            "model": "claude-sonnet-5",
            "reasoning_effort": "high",
            "initial_permission_mode": "acceptEdits",
        },
    },
    RunCreateIn: {
        "Performed by the client": {},
        "Performed by a worker, later": {"environment": "cloud", "branch": "main"},
    },
    RunUpdateIn: {
        "Report progress": {"status": "in_progress", "stage": "testing"},
        "Cancel": {"status": "cancelled"},
        "Change the state": {"state": {"mode": "interactive"}, "state_remove_keys": ["snapshot_external_id"]},
    },
    SetOutputIn: {"A result": {"output": {"tests": 42}}},
    StartIn: {
        "With the options of its creation": {},
        "With a message": {"pending_user_message": "Keep the change small."},
    },
    AppendIn: {"A message of the agent": {"entries": [_LOG_ENTRY]}},
    RelayIn: {"A message": {"text": "The page says hello now."}},
    CommandIn: {
        "A message": _command("user_message", content="Keep the old page, too."),
        "A message with a file of the run": _command(
            "user_message", content="Like in this picture.", artifact_ids=[_FILE_ID]
        ),
        "A message of content blocks": _command(
            "user_message",
            content=[
                {"type": "text", "text": "Follow this guide:"},
                {"type": "resource_link", "name": "guide", "uri": "https://docs.example.com/guide"},
            ],
        ),
        "Cancel the turn": _command("cancel"),
        "End the conversation": _command("close"),
        "Answer a permission request": _command(
            "permission_response", requestId="0f3c9d1b7a5e4c2d8b6a4f2e1d3c5b7a", optionId="allow_once"
        ),
        "Set an option": _command("set_config_option", configId="mode", value="plan"),
    },
    PrepareIn: {"A screenshot": {"artifacts": [{**_FILE, "size": 48213}]}},
    FinalizeIn: {"A screenshot": {"artifacts": [{**_FILE, "id": _FILE_ID, "storage_path": _PATH}]}},
    InlineIn: {
        "A text file": {"artifacts": [{"name": "plan.md", "type": "plan", "content": "1. Say hello."}]},
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
    PathIn: {"A file of the run": {"storage_path": _PATH}},
    SandboxEnvironmentIn: {
        "Additional hosts and a secret, shared with the project": {
            "name": "Web app",
            "network_access_level": "custom",
            "allowed_domains": ["registry.npmjs.org", "*.example.com"],
            "repositories": ["taskbeacon/taskbeacon"],
            "environment_variables": {"STAGING_TOKEN": "s3cret"},
            "private": False,
        },
        "Package registries and code hosts, private": {"name": "Mine"},
        "No network access": {"name": "Offline", "network_access_level": "none", "private": False},
    },
    SandboxEnvironmentUpdateIn: {
        "Share with the project": {"private": False},
        "Replace the variables": {"environment_variables": {"STAGING_TOKEN": "s3cret"}},
    },
    EndpointIn: {
        "Ended runs, and questions": {
            "url": "https://hooks.example.com/taskbeacon",
            "event_types": ["run.completed", "run.failed", "run.cancelled", "question.*"],
        },
        "All events of the caller's own tasks, with full bodies": {
            "url": "https://hooks.example.com/taskbeacon",
            "event_types": ["*"],
            "payload": "full",
            "task_filter": {"created_by": "me"},
        },
    },
    EndpointUpdateIn: {
        "Change the URL": {"url": "https://hooks.example.com/new"},
        "Disable": {"enabled": False},
    },
    RotateIn: {"A day with both": {}, "At once": {"expire_old_after_seconds": 0}},
    RecoverIn: {
        "Failed deliveries": {"since": "2026-03-01T00:00:00Z"},
        "All events missed within an hour": {
            "since": "2026-03-01T10:00:00Z",
            "until": "2026-03-01T11:00:00Z",
            "only": "all",
        },
    },
    PushTokenIn: {"A phone": {"token": _TOKEN, "platform": "ios"}},
    UnregisterIn: {"A phone": {"token": _TOKEN}},
    PresenceIn: {"A device": _DEVICE},
    PresenceLeaveIn: {"A device": _DEVICE},
    PushTestIn: {"The device last seen": {}, "A certain device": _DEVICE},
    PreferencesIn: {
        "No pushes about cancelled runs": {"cancelled": False},
        "Quiet hours at night, and no titles": {
            "quiet_hours": {"start": "22:00", "end": "07:00", "timezone": "Europe/Berlin"},
            "allow_during_quiet": ["high"],
            "push_text": "generic",
        },
    },
}

# Answers with a schema of text, any object or alternatives.
ANSWERS: Mapping[str, Any] = {
    "metrics": 'taskbeacon_http_requests_total{method="GET",route="/livez",status="200"} 1.0\n',
    "events_stream_retrieve": f"id: AAAAAAAAA7oAAAAAAAAAKg\ndata: {orjson.dumps(_EVENT).decode()}\n\n",
    "users_inbox_stream_retrieve": f"id: AAAAAAAAA7oAAAAAAAAAKg\ndata: {orjson.dumps(_QUESTION_EVENT).decode()}\n\n",
    "webhook_event_types_list": published_types()[:1],
    "tasks_runs_stream_retrieve": f"id: 1772359200123-7\ndata: {orjson.dumps(_LOG_ENTRY).decode()}\n\n",
    "tasks_runs_logs_retrieve": orjson.dumps(_LOG_ENTRY).decode() + "\n",
    "tasks_runs_session_logs_retrieve": [_LOG_ENTRY],
    "tasks_runs_command_create": {"jsonrpc": "2.0", "result": {"queued": True}, "id": 1},
}

_OVER_LIMIT = UsageLimitExceeded(
    is_pro=False, limit_type=LimitType.BURST, reset_at=datetime(2026, 3, 1, 11, tzinfo=UTC)
)
_NO_ENVIRONMENT = RunRefused("Invalid sandbox_environment_id")
_PRIVATE_ENVIRONMENT = StateRefused(
    "This run is in another member's private sandbox environment: only they can steer it."
)
_NO_FORM = StateRefused("Unable to generate upload URL")
_NOT_UPLOADED = (
    StateRefused("Artifact upload not found in object storage"),
    StateRefused("screenshot.png exceeds the 30MB attachment limit"),
)
_OVER = StateRefused("Run is already completed")
_WRONG_METHOD = MethodNotAllowed("POST", frozenset({"GET"}))

_NO_AGENT = StateRefused("No active sandbox for this task run")
_WINNER = {
    "answer": {"option_id": "reject"},
    "answered_by": {
        "id": 1,
        "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
        "distinct_id": "f0a1b2c3d4e5",
        "first_name": "Ada",
        "last_name": "Example",
        "email": "ada@example.com",
        "is_email_verified": True,
        "hedgehog_config": None,
        "role_at_organization": None,
    },
    "answered_via": "action_token",
    "answered_at": "2026-03-01T10:00:00.123456Z",
}
_ANSWERED = AlreadyAnswered(_WINNER)
_CHANGED = QuestionChanged()
_CLOSED = QuestionClosed(dict.fromkeys(_WINNER))

# The failures of an operation beside those of its gates and its body's model.
REFUSALS: Mapping[str, tuple[AppError | RequestRefused, ...]] = {
    **dict.fromkeys(("livez", "readyz", "metrics"), (_WRONG_METHOD,)),
    "tasks_run_create": (
        RunRefused("Invalid resume_from_run_id"),
        _NO_ENVIRONMENT,
        RunRefused("Some pending_user_artifact_ids are invalid or expired", missing_artifact_ids=[_FILE_ID]),
        _OVER_LIMIT,
    ),
    "tasks_runs_create": (_NO_ENVIRONMENT, _OVER_LIMIT),
    "tasks_runs_partial_update": (_OVER, _PRIVATE_ENVIRONMENT, _OVER_LIMIT),
    "tasks_runs_set_output_partial_update": (
        StateRefused("Output validation error: 'many' is not of type 'integer'"),
    ),
    "tasks_runs_start_create": (
        StateRefused("Only cloud runs can be started via this endpoint"),
        StateRefused("Only queued or not_started cloud runs can be started (current status: in_progress)"),
        RunRefused(
            "Some pending_user_artifact_ids are invalid for this run", missing_artifact_ids=[_FILE_ID]
        ),
        _NO_ENVIRONMENT,
        _OVER_LIMIT,
    ),
    "tasks_runs_resume_in_cloud_create": (
        StateRefused("Run is already active in cloud"),
        _NO_ENVIRONMENT,
        _OVER_LIMIT,
    ),
    "tasks_runs_event_stream_create": (_OVER, EventsMissing(2)),
    "tasks_runs_command_create": (
        StateRefused("No active sandbox for this task run"),
        StateRefused("Some artifact_ids are invalid for this run", missing_artifact_ids=[_FILE_ID]),
        _PRIVATE_ENVIRONMENT,
    ),
    "questions_answer_create": (_ANSWERED, _CHANGED, _CLOSED, _NO_AGENT),
    "questions_snooze_create": (_CLOSED,),
    "console_session_create": (
        InvalidInput("Give exactly one of api_key and code."),
        AuthenticationFailed("body"),
        SessionEnded("This login link was used already, or is too old."),
        PermissionDenied("The console needs https, except on localhost."),
        BodyTooLarge(BODY_BYTES),
        UnsupportedMediaType("text/plain"),
        Throttled(retry_after=17),
        Unavailable("The database does not answer. Please try again in a moment."),
    ),
    "actions_create": (
        InvalidInput("This token is for another answer.", attr="option_id"),
        PermissionDenied("This question needs an API key: its risk is high."),
        NotFound(),
        _ANSWERED,
        _CHANGED,
        _CLOSED,
        BodyTooLarge(BODY_BYTES),
        UnsupportedMediaType("text/plain"),
        Throttled(retry_after=17),
        _NO_AGENT,
        Unavailable("The database does not answer. Please try again in a moment."),
    ),
    "tasks_staged_artifacts_prepare_upload_create": (_NO_FORM,),
    "tasks_staged_artifacts_finalize_upload_create": (
        StateRefused("Artifact storage path is invalid for this task"),
        *_NOT_UPLOADED,
    ),
    "tasks_runs_artifacts_create": (StateRefused("A run has at most 1000 artifacts"),),
    "tasks_runs_artifacts_prepare_upload_create": (_NO_FORM,),
    "tasks_runs_artifacts_finalize_upload_create": (
        StateRefused("Artifact storage path is invalid for this run"),
        *_NOT_UPLOADED,
    ),
    **dict.fromkeys(
        (
            "tasks_runs_artifacts_presign_create",
            "tasks_runs_artifacts_download_create",
            "tasks_runs_artifacts_download_retrieve",
        ),
        (ArtifactNotFound(),),
    ),
    "webhook_endpoints_create": (_NOT_SECURE,),
    "webhook_endpoints_partial_update": (_NOT_SECURE,),
    "webhook_endpoints_recover_create": (_DISABLED,),
    "webhook_endpoints_deliveries_redeliver_create": (_DISABLED,),
    "webhooks_github_create": (
        PermissionDenied("The signature does not fit."),
        InvalidInput("This header is required.", code="required", attr="X-GitHub-Delivery"),
        BodyTooLarge(5 * 2**20),
        Unavailable("The database does not answer. Please try again in a moment."),
        UsageLimitExceeded(is_pro=False),
    ),
}
