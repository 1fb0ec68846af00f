"""Runs: the body that starts one, and how they are shown (contract 3.3, 5.8)."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from app.enums import (
    Environment,
    PermissionMode,
    PrAuthorshipMode,
    ReasoningEffort,
    RunMode,
    RunSource,
    RunStatus,
    RuntimeAdapter,
)
from app.schemas.base import Input
from app.schemas.fields import Choice, Items, Text, Uuid

__all__ = ["ArtifactOut", "RunIn", "RunOut", "RunPage"]

_MAX_ARTIFACTS = 100
_MAX_MESSAGE = 1_000_000


class RunIn(Input):
    """How a run is to be performed; an empty body takes every default. Null is refused except for `branch`."""

    mode: Annotated[
        RunMode,
        Choice(of=RunMode),
        Field(description="`interactive` waits for further messages after the first turn."),
    ] = RunMode.BACKGROUND
    branch: Annotated[
        str | None,
        Text(max_length=255, null=True),
        Field(description="Branch to start from; default: the repository's own default branch."),
    ] = None
    resume_from_run_id: Annotated[
        UUID | None, Uuid(), Field(description="Earlier run of the same task to go on from.")
    ] = None
    pending_user_message: Annotated[
        str | None,
        Text(max_length=_MAX_MESSAGE, blank_is_absent=True),
        Field(description="A message for the agent, after the task's description."),
    ] = None
    pending_user_artifact_ids: Annotated[
        list[Annotated[str, Text(max_length=128)]],
        Items(max_length=_MAX_ARTIFACTS),
        Field(description="Staged artifacts of this task to hand to the agent."),
    ] = []  # noqa: RUF012 - pydantic copies defaults
    sandbox_environment_id: Annotated[
        UUID | None, Uuid(), Field(description="Sandbox environment to run in.")
    ] = None
    pr_authorship_mode: Annotated[
        PrAuthorshipMode | None,
        Choice(of=PrAuthorshipMode),
        Field(description="In whose name a pull request is opened."),
    ] = None
    run_source: Annotated[
        RunSource | None,
        Choice(of=RunSource),
        Field(description="What asked for the run; `signal_report` forces authorship `bot`."),
    ] = None
    signal_report_id: Annotated[
        str | None, Text(max_length=255), Field(description="Report behind the run.")
    ] = None
    runtime_adapter: Annotated[
        RuntimeAdapter | None,
        Choice(of=RuntimeAdapter),
        Field(
            description="The agent; needs `model` too. Without it the built-in `runbook` agent performs the run."
        ),
    ] = None
    model: Annotated[
        str | None, Text(max_length=255), Field(description="The agent's model; needs `runtime_adapter` too.")
    ] = None
    reasoning_effort: Annotated[
        ReasoningEffort | None, Choice(of=ReasoningEffort), Field(description="As far as the model knows it.")
    ] = None
    github_user_token: Annotated[
        str | None,
        Text(max_length=1000),
        Field(description="Token to act with in the caller's name; never stored in the run, never shown."),
    ] = None
    initial_permission_mode: Annotated[
        PermissionMode | None,
        Choice(of=PermissionMode),
        Field(description="What the agent may do without asking; needs `runtime_adapter`."),
    ] = None


class ArtifactOut(TypedDict):
    """A file that belongs to a run (contract 3.4)."""

    id: str
    name: str
    type: str
    source: str
    size: Annotated[int, Field(description="Bytes.")]
    content_type: str
    storage_path: str
    uploaded_at: str


class RunOut(TypedDict):
    """A run: one performance of a task by an agent."""

    id: UUID
    task: Annotated[UUID, Field(description="The task it belongs to.")]
    stage: str | None
    branch: Annotated[str | None, Field(description="Branch the run starts from.")]
    status: RunStatus
    environment: Environment
    runtime_adapter: str | None
    provider: str | None
    model: str | None
    reasoning_effort: str | None
    log_url: Annotated[str | None, Field(description="Where the log can be read (JSON lines), for one hour.")]
    error_message: Annotated[str | None, Field(description="Why it failed.")]
    output: Annotated[
        dict[str, Any] | None,
        Field(
            description="What came out: the structured output if the task has a `json_schema`, else `head_branch`, "
            "`head_sha`, `summary` and `files_changed`."
        ),
    ]
    state: Annotated[dict[str, Any], Field(description="How it was asked for and where it stands.")]
    artifacts: list[ArtifactOut]
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class RunPage(TypedDict):
    """A page of runs, newest first."""

    count: int
    next: str | None
    previous: str | None
    results: list[RunOut]
