"""Bodies that create and change runs, and the published form of runs (contract 3.3, 5.8, 6.4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field, model_validator
from typing_extensions import TypedDict, override

from app.enums import (
    Environment,
    PermissionMode,
    PrAuthorshipMode,
    ReasoningEffort,
    RunMode,
    RunSource,
    RunStatus,
)
from app.json_types import JsonDict
from app.schemas.base import Input, ListPage, doc
from app.schemas.checks.check_sets import Acceptance
from app.schemas.fields import AnyJson, Choice, Integer, Items, JsonObject, OpenChoice, Text, Uuid
from app.schemas.fields import Field as InputField
from app.schemas.runs.artifacts import RunArtifactOut
from app.schemas.runs.mcp_servers import McpServersIn
from app.schemas.runs.verifications import VerificationOut

LONGEST_BRANCH = 255
# More tokens than any run could use; every JSON reader represents the number exactly.
MAX_TOKEN_BUDGET = 10**15
MAX_ARTIFACTS = 100
_MAX_REASON = 500
MAX_MESSAGE = 1_000_000
_MAX_KEYS = 1000
_MAX_RELAYED = 10_000
_MAX_PARTS = 100
_Message = Annotated[
    str | None,
    Text(max_length=MAX_MESSAGE, blank_is_absent=True),
    doc("A message for the agent, after the task's description."),
]
_ArtifactIds = Annotated[list[Annotated[str, Text(max_length=128)]], Items(max_length=MAX_ARTIFACTS)]


class _RunOptions(Input):
    mode: Annotated[
        RunMode,
        Choice(of=RunMode),
        doc("`interactive` waits for further messages after the first turn. Default: `background`."),
    ] = RunMode.BACKGROUND
    branch: Annotated[
        str | None,
        Text(max_length=LONGEST_BRANCH, null=True),
        doc("Branch to start from; default: the repository's own default branch."),
    ] = None
    resume_from_run_id: Annotated[UUID | None, Uuid(), doc("Earlier run of the same task to resume.")] = None
    pending_user_message: _Message = None
    pending_user_artifact_ids: Annotated[
        _ArtifactIds, doc("Staged artifacts of this task to hand to the agent.")
    ] = []
    sandbox_environment_id: Annotated[UUID | None, Uuid(), doc("Sandbox environment to run in.")] = None
    pr_authorship_mode: Annotated[
        PrAuthorshipMode | None,
        Choice(of=PrAuthorshipMode),
        doc("The account that a pull request is opened with."),
    ] = None
    run_source: Annotated[
        RunSource | None,
        Choice(of=RunSource),
        doc("The trigger of the run; `signal_report` forces authorship `bot`."),
    ] = None
    signal_report_id: Annotated[
        str | None, Text(max_length=255), doc("The signal report that caused the run.")
    ] = None
    runtime_adapter: Annotated[
        str | None,
        OpenChoice(max_length=40),
        doc(
            "The agent: `claude`, `codex`, or one that the operator enabled; needs `model` too. "
            "Without it the built-in `runbook` agent performs the run.",
            "claude",
            "codex",
        ),
    ] = None
    model: Annotated[
        str | None, Text(max_length=255), doc("The agent's model; needs `runtime_adapter` too.")
    ] = None
    reasoning_effort: Annotated[
        ReasoningEffort | None, Choice(of=ReasoningEffort), doc("An effort that the model supports.")
    ] = None
    github_user_token: Annotated[
        str | None,
        Text(max_length=1000),
        doc("Token to act in the caller's name; never stored in the run, never shown."),
    ] = None
    initial_permission_mode: Annotated[
        PermissionMode | None,
        Choice(of=PermissionMode),
        doc("The actions the agent may take without asking; needs `runtime_adapter`."),
    ] = None
    token_budget: Annotated[
        int | None,
        Integer(minimum=1, maximum=MAX_TOKEN_BUDGET),
        doc(
            "Tokens that all runs of the task together may use by the end of this run; the operator's own "
            "limit applies too. An extension of the reference API."
        ),
    ] = None
    imported_mcp_servers: McpServersIn = []


class RunIn(_RunOptions):
    """The options of a new run; an empty body selects all defaults.

    Null is refused except for `branch` and `acceptance`.
    """

    examples: ClassVar = {
        "All defaults": {},
        "From a branch, with a message": {"branch": "main", "pending_user_message": "Keep the change small."},
        "With Claude": {
            "runtime_adapter": "claude",
            "model": "claude-sonnet-5",
            "reasoning_effort": "high",
            "initial_permission_mode": "acceptEdits",
        },
    }

    acceptance: Acceptance = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ignored(InputField):
    """A field of the base class that this body ignores, even with an invalid value."""

    @override
    def parse(self, value: object) -> None:
        return None


class _LocalOptions(_RunOptions):
    environment: Annotated[
        Environment,
        Choice(of=Environment),
        doc("`local` (the default): the client performs it; `cloud`: a worker performs it after `start`."),
    ] = Environment.LOCAL


# The fields of the last base come first, and fields are checked in their order.
class RunCreateIn(RunIn, _LocalOptions):
    """The options of a run that is created without being started: those of `RunIn` without `resume_from_run_id`."""

    examples: ClassVar = {
        "Performed by the client": {},
        "Performed by a worker, later": {"environment": "cloud", "branch": "main"},
    }

    resume_from_run_id: Annotated[
        None, _Ignored(null=True), doc("Ignored: only `run` resumes an earlier run.")
    ] = None


class StartIn(Input):
    """A message and files for the agent of a run that is to be started."""

    examples: ClassVar = {
        "With the options of its creation": {},
        "With a message": {"pending_user_message": "Keep the change small."},
    }

    pending_user_message: _Message = None
    pending_user_artifact_ids: Annotated[_ArtifactIds, doc("Files of this run to hand to the agent.")] = []


class RunUpdateIn(Input):
    """Changes to a run; absent fields keep their values."""

    examples: ClassVar = {
        "Report progress": {"status": "in_progress", "stage": "testing"},
        "Cancel": {"status": "cancelled"},
        "Change the state": {"state": {"mode": "interactive"}, "state_remove_keys": ["snapshot_external_id"]},
    }

    status: Annotated[
        RunStatus | None, Choice(of=RunStatus), doc("The new status; any, unless the run has ended.")
    ] = None
    branch: Annotated[str | None, Text(max_length=255, null=True), doc("Branch of the run.")] = None
    stage: Annotated[
        str | None, Text(max_length=100, null=True), doc("The progress of the run, as a text of the client.")
    ] = None
    output: Annotated[
        JsonDict | None,
        JsonObject(null=True),
        doc("Keys to set in the output; null empties the output."),
    ] = None
    state: Annotated[
        JsonDict | None, JsonObject(), doc("Keys to set in the state; protected keys are not changed.")
    ] = None
    state_remove_keys: Annotated[
        list[Annotated[str, Text(max_length=255)]] | None,
        Items(max_length=_MAX_KEYS, empty=False),
        doc("Keys to remove from the state; protected keys are not removed."),
    ] = None
    error_message: Annotated[
        str | None,
        Text(max_length=MAX_MESSAGE, null=True, blank=True),
        doc("The reason of the failure, as a text that people can act on."),
    ] = None


class SetOutputIn(Input):
    """The new output of a run. If the body has no key `output`, the whole body is the output (contract 13.11)."""

    examples: ClassVar = {"A result": {"output": {"tests": 42}}}

    output: Annotated[
        Any, AnyJson(null=True), doc("Replaces the output; must satisfy the task's `json_schema`.")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, body: JsonDict) -> JsonDict:
        return body if "output" in body else {"output": body}


class CancelIn(Input):
    """The cancellation of a run, perhaps with a reason. An empty body gives none."""

    examples: ClassVar = {"No reason": {}, "A reason": {"reason": "Superseded by another task."}}

    reason: Annotated[
        str | None,
        Text(max_length=_MAX_REASON, null=True, blank_is_absent=True),
        doc("Shown to everyone as the run's `error_message`; without it that is `Stopped by user`."),
    ] = None


class RelayIn(Input):
    """A message of an agent to relay to a chat outside the service. It is written to the log of the agent's run."""

    examples: ClassVar = {"A message": {"text": "The page says hello now."}}

    text: Annotated[str, Text(max_length=_MAX_RELAYED), doc("The message.")]
    text_parts: Annotated[
        list[Annotated[str, Text(max_length=_MAX_RELAYED, blank=True)]],
        Items(max_length=_MAX_PARTS),
        doc("The parts of the message, if it has parts."),
    ] = []
    message_id: Annotated[
        str | None,
        Text(max_length=255, null=True, blank_is_absent=True),
        doc("The client's id of the message."),
    ] = None
    trace_id: Annotated[
        str | None,
        Text(max_length=255, null=True, blank_is_absent=True),
        doc("The client's trace id of the message."),
    ] = None


class RelayOut(TypedDict):
    """The response to a request to relay a message of an agent to a chat, which this service only logs."""

    status: Annotated[str, doc("`skipped`: no chat to relay to; the run's log has it.", "skipped")]


class ConnectionTokenOut(TypedDict):
    """A token with which a client that has no API key can access one run."""

    token: Annotated[
        str,
        doc(
            "JSON Web Token (RS256), valid for a day, audience `taskbeacon:run_connection`.",
            "eyJhbGciOiJSUzI1NiJ9.…",
        ),
    ]


class StreamTokenOut(TypedDict):
    """A token with which a client that has no API key can follow one run, as the person who requested it."""

    token: Annotated[
        str,
        doc(
            "JSON Web Token (RS256), valid for a day at most, audience `taskbeacon:run_stream`.",
            "eyJhbGciOiJSUzI1NiJ9.…",
        ),
    ]
    stream_base_url: Annotated[None, doc("The server of the stream; null: this one.")]


class RunOut(TypedDict):
    """A run: one attempt of an agent at a task."""

    id: UUID
    task: Annotated[UUID, doc("The task of the run.")]
    stage: Annotated[str | None, doc("Progress that the client reported.")]
    branch: Annotated[str | None, doc("Branch that the run starts from; null: the default branch.")]
    status: Annotated[
        RunStatus, doc("`completed`, `failed` and `cancelled` are final; the others are not.", "completed")
    ]
    environment: Annotated[
        Environment, doc("`cloud`: a worker performs the run; `local`: the client does.", "cloud")
    ]
    runtime_adapter: Annotated[
        str | None, doc("The requested agent; null: the built-in `runbook`.", "claude")
    ]
    provider: Annotated[str | None, doc("The model's provider.", "anthropic")]
    model: Annotated[str | None, doc("The agent's model.", "claude-sonnet-5")]
    reasoning_effort: Annotated[str | None, doc("The requested reasoning effort.", "high")]
    log_url: Annotated[
        str | None,
        Field(
            description="URL of the log (JSON lines), valid for one hour.",
            json_schema_extra={"format": "uri"},
        ),
    ]
    error_message: Annotated[str | None, doc("The reason of a failure, for people to act on.")]
    output: Annotated[
        Any,
        doc(
            "The result: the structured output if the task has a `json_schema`, else `head_branch`, "
            "`head_sha`, `summary` and `files_changed`. An object or null, unless the schema or a client that sets "
            "the output has it otherwise.",
            {"head_branch": "taskbeacon/tes-12-8e9f0a1b", "summary": "Done: 2 steps."},
        ),
    ]
    state: Annotated[
        JsonDict,
        doc(
            "The run's options and its progress; keys without a value are absent. `waiting_for` is the "
            "agent's question to people: a `message` (`failure` if its turn failed), or a `permission` (`request_id`, "
            "`tool_call`, `options`).",
            {"mode": "background"},
        ),
    ]
    artifacts: Annotated[list[RunArtifactOut], doc("The run's files, including the patch.")]
    created_at: datetime
    updated_at: datetime
    completed_at: Annotated[datetime | None, doc("When the run reached a final status.")]
    scheduled_at: Annotated[
        datetime | None, doc("The time for which the run was created; null if it could begin at once.")
    ]
    verification: Annotated[
        VerificationOut | None, doc("What checks say of its work; null if its work was not to be checked.")
    ]


class UsageOut(TypedDict):
    """What all runs of a task have cost so far, in US dollars."""

    token_cost_usd: Annotated[float, doc("Cost of the models, as far as agents report it.", 0.42)]
    compute_cost_usd: Annotated[float, doc("Always 0.", 0)]
    total_cost_usd: Annotated[float, doc("The sum of both.", 0.42)]


class RunPage(ListPage):
    """A page of runs, newest first."""

    results: list[RunOut]
