"""Runs: started, driven by clients, followed."""

from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from app.enums import LimitType
from app.errors import EventsMissing, RequestRefused, RunRefused, StateRefused, UsageLimitExceeded
from app.schemas.run_logs import AppendIn, LogQuery
from app.schemas.run_stream import StreamQuery
from app.schemas.runs import RelayIn, RunCreateIn, RunIn, RunUpdateIn, SetOutputIn, StartIn
from app.web.openapi.examples.documents import (
    COMPLETED_RUN,
    LOCAL_RUN,
    LOG_ENTRY,
    QUEUED_RUN,
    RUN_IN_PROGRESS,
    RUNNING_TASK,
)
from app.web.openapi.examples.operation import OperationExamples, page

__all__ = ["RUN_EXAMPLES"]

_OVER_LIMIT: Mapping[str, RequestRefused] = {
    "The project is over its usage limit": UsageLimitExceeded(
        is_pro=False, limit_type=LimitType.BURST, reset_at=datetime(2026, 3, 1, 11, tzinfo=UTC)
    )
}

_NOT_THEIRS: Mapping[str, RequestRefused] = {
    "The environment of the run is another member's own": RunRefused("Invalid sandbox_environment_id")
}

RUN_EXAMPLES: Mapping[str, OperationExamples] = {
    "tasks_run_create": OperationExamples(
        answer=RUNNING_TASK,
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
            "The environment is not there, or somebody else's": RunRefused("Invalid sandbox_environment_id"),
            "An artifact is not there (any more)": RunRefused(
                "Some pending_user_artifact_ids are invalid or expired",
                missing_artifact_ids=["4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d"],
            ),
            **_OVER_LIMIT,
        },
    ),
    "tasks_runs_list": OperationExamples(answer=page(COMPLETED_RUN)),
    "tasks_runs_retrieve": OperationExamples(answer=COMPLETED_RUN),
    "tasks_runs_create": OperationExamples(
        answer=LOCAL_RUN,
        bodies={"Performed here": {}, "For a worker, later": {"environment": "cloud", "branch": "main"}},
        refused=(RunCreateIn, {"environment": "moon"}),
        refusals={
            "The environment is not there": RunRefused("Invalid sandbox_environment_id"),
            **_OVER_LIMIT,
        },
    ),
    "tasks_runs_partial_update": OperationExamples(
        answer=RUN_IN_PROGRESS,
        bodies={
            "Say where it stands": {"status": "in_progress", "stage": "testing"},
            "Stop it": {"status": "cancelled"},
            "Change its state": {
                "state": {"mode": "interactive"},
                "state_remove_keys": ["snapshot_external_id"],
            },
        },
        refused=(RunUpdateIn, {"status": "sleeping"}),
        refusals={
            "The run is over": StateRefused("Run is already completed"),
            "The environment of the run is another member's own": StateRefused(
                "This run is in another member's private sandbox environment: only they can steer it."
            ),
            **_OVER_LIMIT,
        },
    ),
    "tasks_runs_set_output_partial_update": OperationExamples(
        answer=COMPLETED_RUN,
        bodies={"A result": {"output": {"tests": 42}}},
        refused=(SetOutputIn, {"output": "a\x00b"}),
        refusals={
            "It is not what the task asks for": StateRefused(
                "Output validation error: 'many' is not of type 'integer'"
            )
        },
    ),
    "tasks_runs_start_create": OperationExamples(
        answer=RUNNING_TASK,
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
            **_NOT_THEIRS,
            **_OVER_LIMIT,
        },
    ),
    "tasks_runs_resume_in_cloud_create": OperationExamples(
        answer=QUEUED_RUN,
        refusals={
            "A worker has it": StateRefused("Run is already active in cloud"),
            **_NOT_THEIRS,
            **_OVER_LIMIT,
        },
    ),
    "tasks_runs_connection_token_retrieve": OperationExamples(answer={"token": "eyJhbGciOiJSUzI1NiJ9.…"}),
    "tasks_runs_append_log_create": OperationExamples(
        answer=RUN_IN_PROGRESS,
        bodies={"A message of the agent": {"entries": [LOG_ENTRY]}},
        refused=(AppendIn, {"entries": []}),
    ),
    "tasks_runs_relay_message_create": OperationExamples(
        answer={"status": "skipped"},
        bodies={"A message": {"text": "The page says hello now."}},
        refused=(RelayIn, {"text": ""}),
    ),
    "tasks_runs_stream_retrieve": OperationExamples(
        answer="id: 1772359200123-7\ndata: " + orjson.dumps(LOG_ENTRY).decode() + "\n\n",
        refused=(StreamQuery, {"device_id": "my phone"}),
    ),
    "tasks_runs_event_stream_create": OperationExamples(
        answer={"last_accepted_seq": 2},
        refusals={
            "The run is over": StateRefused("Run is already completed"),
            "An event is missing": EventsMissing(2),
        },
    ),
    "tasks_runs_logs_retrieve": OperationExamples(
        answer=orjson.dumps(LOG_ENTRY).decode() + "\n",
    ),
    "tasks_runs_session_logs_retrieve": OperationExamples(
        answer=[LOG_ENTRY], refused=(LogQuery, {"limit": "0"})
    ),
}
