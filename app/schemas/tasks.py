"""Bodies that create and change tasks, the query of lists, and the published form (contract 3.1, 5, 6)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, NotRequired
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict, override

from app.enums import (
    CiStatus,
    Environment,
    OriginProduct,
    ReasoningEffort,
    RunStatus,
    SignalReportRelationship,
    Verdict,
)
from app.json_types import JsonDict
from app.schemas.base import Input, ListPage, QueryInput, doc
from app.schemas.checks.check_sets import Acceptance, DefinitionsOut
from app.schemas.fields import (
    AnyJson,
    Boolean,
    Choice,
    ForeignKey,
    ForeignUuid,
    Integer,
    Items,
    OpenChoice,
    Text,
    Timestamp,
    Uuid,
    check_repository,
    fail,
)
from app.schemas.runs.mcp_servers import McpServersHint
from app.schemas.runs.run import LONGEST_BRANCH, MAX_ARTIFACTS, MAX_MESSAGE, RunOut
from app.schemas.users import UserBasic

_MAX_SUMMARIES = 5000
_MAX_IN_BATCH = 500
MAX_FOUND = 50


_RUNBOOK = """\
Write a page that says hello.

```file path=docs/hello.md
# Hello
```

```sh
grep -q Hello docs/hello.md
```
"""


class Wanted(StrEnum):
    """The values of the filters `archived` and `internal`: tasks that are not so, only those that are, or all."""

    NO = "false"
    ONLY = "true"
    ALL = "all"


class Ordering(StrEnum):
    """How the task list can be sorted: by a time, the latest first, or by the verdict, the most urgent first."""

    CREATED = "-created_at"
    ACTIVITY = "-last_activity_at"
    VERDICT = "verdict"


class _Internal(Choice):
    """`all`, or a word for a boolean."""

    @override
    def parse(self, value: object) -> StrEnum:
        return Wanted.ALL if value == Wanted.ALL else Wanted(str(Boolean().parse(value)).lower())


class _Origin(Choice):
    """An origin that a caller may name (contract 5.2)."""

    @override
    def parse(self, value: object) -> StrEnum:
        origin = Choice.parse(self, value)
        if origin is OriginProduct.IMAGE_BUILDER:
            raise fail(
                "invalid_input", "origin_product 'image_builder' is reserved for image-builder sessions"
            )
        return origin


class _TaskFields(Input):
    title: Annotated[
        str,
        Text(max_length=255, blank=True),
        doc("Derived from the description when absent or empty.", "Fix the login page"),
    ] = ""
    title_manually_set: Annotated[
        bool, Boolean(), doc("Whether a person chose the title; follows from `title` unless given.")
    ] = False
    description: Annotated[
        str,
        Text(blank=True),
        doc("The instructions for the agent.", "Say hello:\n\n```file path=hello.txt\nHello\n```"),
    ] = ""
    origin_product: Annotated[
        OriginProduct,
        _Origin(of=OriginProduct),
        doc(
            "The product that the task came from; it decides who can see the task. Fixed at creation. "
            "Default: `user_created`."
        ),
    ] = OriginProduct.USER_CREATED
    repository: Annotated[
        str | None,
        Text(max_length=255, blank=True, null=True, check=check_repository),
        doc("`organization/repository` to work in.", "taskbeacon/taskbeacon"),
    ] = None
    github_integration: Annotated[
        int | None, ForeignKey(null=True), doc("Default: the project's first GitHub integration.")
    ] = None
    github_user_integration: Annotated[
        UUID | None, ForeignUuid(null=True), doc("The caller's own GitHub integration.")
    ] = None
    signal_report: Annotated[
        UUID | None,
        ForeignUuid(null=True),
        doc("The signal report that the task is about. Fixed at creation."),
    ] = None
    signal_report_task_relationship: Annotated[
        SignalReportRelationship | None,
        Choice(of=SignalReportRelationship, null=True),
        doc("How the task relates to the report. Write only, fixed at creation."),
    ] = None
    json_schema: Annotated[
        Any,
        AnyJson(null=True),
        doc(
            "JSON Schema that the output of every run must satisfy. Any JSON is stored, but no "
            "output satisfies one that is no valid JSON Schema."
        ),
    ] = None
    internal: Annotated[
        bool, Boolean(), doc("Whether the task is internal, and hidden from lists by default.")
    ] = False
    archived: Annotated[
        bool, Boolean(), doc("Whether the task is archived; lists omit archived tasks by default.")
    ] = False
    ci_prompt: Annotated[
        str | None,
        Text(blank=True, null=True),
        doc("The instructions for the agent when the checks of its branch fail."),
    ] = None


class TaskIn(_TaskFields):
    """The writable fields of a task. Every field is optional; an update changes only the given fields."""

    examples: ClassVar = {"Archive": {"archived": True}}

    acceptance: Acceptance = None


class _FirstRun(_TaskFields):
    branch: Annotated[
        str | None, Text(max_length=LONGEST_BRANCH, null=True), doc("Branch that the first run starts from.")
    ] = None
    runtime_adapter: Annotated[
        str | None,
        OpenChoice(max_length=40, null=True),
        doc("The agent of the first run; needs `model` too.", "claude"),
    ] = None
    model: Annotated[
        str | None,
        Text(max_length=255, null=True),
        doc("The model of the first run; needs `runtime_adapter` too."),
    ] = None
    reasoning_effort: Annotated[
        ReasoningEffort | None,
        Choice(of=ReasoningEffort, null=True),
        doc("An effort that the model supports."),
    ] = None
    pending_user_message: Annotated[
        str | None,
        Text(max_length=MAX_MESSAGE, null=True, blank_is_absent=True),
        doc("A message for the agent of the first run, after the task's description."),
    ] = None
    pending_user_artifact_ids: Annotated[
        list[Annotated[str, Text(max_length=128)]] | None,
        Items(max_length=MAX_ARTIFACTS, null=True),
        doc("Accepted without effect."),
    ] = None
    auto_publish: Annotated[bool | None, Boolean(null=True), doc("Accepted without effect.")] = None
    sandbox_environment_id: Annotated[
        UUID | None, Uuid(null=True), doc("Sandbox environment of the first run.")
    ] = None
    custom_image_id: Annotated[UUID | None, Uuid(null=True), doc("Accepted without effect.")] = None
    imported_mcp_servers: McpServersHint = None
    start_run: Annotated[
        bool,
        Boolean(),
        doc("Whether to start a cloud run of the task. The response then has `run` and `run_error`."),
    ] = False
    scheduled_at: Annotated[
        datetime | None,
        Timestamp(null=True),
        doc("Starts the cloud run at this time, at most 90 days ahead; without a zone it is UTC."),
    ] = None


# The fields of the last base come first, and fields are checked in their order.
class TaskCreateIn(TaskIn, _FirstRun):
    """A request for a new task, and for how its first run is to be. Every field is optional.

    The fields from `branch` to `scheduled_at` are never shown. The first run of the task takes them where its own
    request is silent.
    """

    examples: ClassVar = {
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
        "Started at once, with Claude": {
            "description": "Fix the typo on the login page.",
            "runtime_adapter": "claude",
            "model": "claude-sonnet-5",
            "start_run": True,
        },
    }


_WORD = Text(blank_is_absent=True, null=True)


class TaskListQuery(QueryInput):
    """The filters of the task list, which all apply together. An empty parameter is treated as not given."""

    archived: Annotated[
        Wanted,
        Choice(of=Wanted),
        doc("`true`: only archived tasks; `all`: archived tasks too. By default archived tasks are omitted."),
    ] = Wanted.NO
    created_by: Annotated[int | None, Integer(), doc("Only tasks that the user with this id created.")] = None
    internal: Annotated[
        Wanted,
        _Internal(of=Wanted),
        doc("`true`: only internal tasks; `all`: internal tasks too. Ignored unless the caller is staff."),
    ] = Wanted.NO
    ordering: Annotated[
        Ordering,
        Choice(of=Ordering),
        doc(
            "By what the tasks are sorted, the latest first. `verdict`: that of the latest run; refuted, inconclusive, "
            "claimed, verified, none, each newest first."
        ),
    ] = Ordering.CREATED
    organization: Annotated[
        str | None, _WORD, doc("Only tasks of repositories of this owner, in any case.")
    ] = None
    origin_product: Annotated[str | None, _WORD, doc("Product the task came from.")] = None
    repository: Annotated[
        str | None,
        _WORD,
        doc("Only tasks of this repository: `organization/repository`, or the name alone, in any case."),
    ] = None
    search: Annotated[
        str | None,
        _WORD,
        doc("Only tasks with this text in the title or description, or with this number (`TES-12`, `12`)."),
    ] = None
    stage: Annotated[str | None, _WORD, doc("Only tasks with a run in this stage.")] = None
    status: Annotated[
        RunStatus | None, Choice(of=RunStatus), doc("Only tasks with a latest run of this status.")
    ] = None
    verdict: Annotated[
        Verdict | None, Choice(of=Verdict), doc("Only tasks with this verdict about the latest run.")
    ] = None
    ci_status: Annotated[
        CiStatus | None,
        Choice(of=CiStatus),
        doc("Only tasks of whose latest run the code host's own checks say this."),
    ] = None


class TaskOut(TypedDict):
    """A task. The response always has exactly these keys."""

    id: UUID
    task_number: Annotated[int | None, doc("Number of the task within the project; the first is 0.", 12)]
    slug: Annotated[str, doc("The number with the project's prefix.", "TES-12")]
    title: Annotated[str, doc("May be empty.", "Say hello")]
    title_manually_set: Annotated[bool, doc("Whether a person chose the title.")]
    description: Annotated[
        str,
        doc("The instructions for the agent; may be empty.", "Give the repository a page that says hello."),
    ]
    origin_product: Annotated[
        OriginProduct,
        doc("The product that the task came from; decides who can see the task.", "user_created"),
    ]
    repository: Annotated[
        str | None,
        doc(
            "The repository as `organization/repository` in lower case; null for none.",
            "taskbeacon/taskbeacon",
        ),
    ]
    github_integration: Annotated[int | None, doc("Integration of the project to clone with.")]
    github_user_integration: Annotated[UUID | None, doc("Integration of the creator to push with.")]
    signal_report: Annotated[UUID | None, doc("The signal report that the task is about.")]
    json_schema: Annotated[Any, doc("JSON Schema that the output of every run must satisfy; null for none.")]
    internal: Annotated[bool, doc("Whether the task is internal, and hidden from lists by default.", False)]
    archived: Annotated[bool, doc("Whether the task is archived.", False)]
    archived_at: Annotated[datetime | None, doc("When the task was archived.")]
    latest_run: Annotated[RunOut | None, doc("The complete newest run; null before the first.")]
    created_at: datetime
    updated_at: datetime
    last_activity_at: Annotated[
        datetime,
        doc("When the newest event about the task or one of its runs happened; at first, its creation."),
    ]
    created_by: Annotated[UserBasic | None, doc("The creator; null if the account was deleted.")]
    ci_prompt: Annotated[
        str | None, doc("The instructions for the agent when the checks of its branch fail.")
    ]
    acceptance: Annotated[
        DefinitionsOut | None, doc("Checks of the work on this task, with the defaults filled in.")
    ]


class TaskWithRunOut(TaskOut):
    """A new task. With `start_run` or `scheduled_at` it has two more keys."""

    run: NotRequired[Annotated[RunOut | None, doc("The run; null if it was refused.")]]
    run_error: NotRequired[Annotated[str | None, doc("Why there is no run; null if there is one.")]]


class TaskPage(ListPage):
    """A page of tasks."""

    results: list[TaskOut]


class RepositoriesOut(TypedDict):
    """The repositories of the tasks that the caller can see."""

    repositories: Annotated[list[str], doc("Distinct and sorted.", ["taskbeacon/taskbeacon"])]


class ModelOut(TypedDict):
    """A model that clients can offer to people for a run; a run may request others too."""

    runtime_adapter: Annotated[str, doc("The agent that uses the model.", "claude")]
    model: Annotated[str, doc("The name to request it by.", "claude-sonnet-5")]
    display_name: Annotated[str, doc("The name for people.", "Claude Sonnet 5")]
    supported_efforts: Annotated[
        list[ReasoningEffort],
        doc("In rising order; empty for a model without effort control.", ["low", "high"]),
    ]


class ModelsOut(TypedDict):
    """The models that clients can offer to people."""

    models: list[ModelOut]


class SummariesIn(Input):
    """A request for summaries of the tasks with the given ids."""

    examples: ClassVar = {"Two tasks": {"ids": [f"019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f4{n}" for n in range(2)]}}

    ids: Annotated[
        list[Annotated[UUID, Uuid()]],
        Items(max_length=_MAX_SUMMARIES, empty=False),
        doc("Ids of tasks; the answer omits tasks that the caller cannot see."),
    ]


class LatestRunSummary(TypedDict):
    """The status of a task's latest run, and where it is performed: by a client or by a worker."""

    status: Annotated[RunStatus, Field(examples=["completed"])]
    environment: Annotated[Environment, Field(examples=["cloud"])]


class SummaryOut(TypedDict):
    """A summary of a task: title, repository, times, and the status of its latest run."""

    id: UUID
    title: Annotated[str, doc("May be empty.", "Say hello")]
    repository: Annotated[
        str | None,
        doc("The repository as `organization/repository`; null for none.", "taskbeacon/taskbeacon"),
    ]
    created_at: datetime
    updated_at: datetime
    latest_run: Annotated[LatestRunSummary | None, doc("The latest run; null before the first run.")]


class SummaryPage(ListPage):
    """A page of summaries of tasks, newest first."""

    results: list[SummaryOut]


class PinIn(Input):
    """Whether the caller wants a task pinned."""

    examples: ClassVar = {"Pin": {"pinned": True}, "Unpin": {"pinned": False}}

    pinned: Annotated[bool, Boolean(), doc("Whether the task is to be pinned.")]


class PinOut(TypedDict):
    """Whether the caller has pinned a task."""

    task_id: UUID
    pinned: bool


class PinnedOut(TypedDict):
    """The pins of the caller in the project."""

    task_ids: Annotated[list[UUID], doc("The newest pin first; only tasks that the caller sees.")]


class SearchQuery(QueryInput):
    """What to find, and how much of it."""

    q: Annotated[str, Text(max_length=512), doc("Part of a title, description, URL or name, in any case.")]
    limit: Annotated[
        int, Integer(minimum=1, maximum=MAX_FOUND), doc("The most results, of all kinds together.")
    ] = 20


class ReferenceKind(StrEnum):
    """What a reference is to mean."""

    TASK = "task"
    RUN = "run"


class ReferenceQuery(QueryInput):
    """A reference as a person writes it."""

    kind: Annotated[
        ReferenceKind,
        Choice(of=ReferenceKind, named=True),
        doc("`task`, or `run`: then a reference to a task means its latest run."),
    ]
    ref: Annotated[
        str,
        Text(max_length=64),
        doc(
            "A number, a slug, an id, 6 or more hexadecimal digits that begin one, or `@latest`: the caller's newest."
        ),
    ]


class ResolvedOut(TypedDict):
    """The ids that a reference means."""

    task: UUID
    run: Annotated[UUID | None, doc("Null for the kind `task`.")]


class FoundKind(StrEnum):
    """What a search has found."""

    TASK = "task"
    PULL_REQUEST = "pull_request"
    ARTIFACT = "artifact"


class FoundOut(TypedDict):
    """A task, a pull request or an artifact that matches a search."""

    id: Annotated[str, doc("Of the task or artifact, or the URL of the pull request.")]
    kind: FoundKind
    title: Annotated[str, doc("Of the task, the number of the pull request, or the name of the artifact.")]
    subtitle: Annotated[str, doc("The slug of a task; of others the title of their task.")]
    task_id: UUID
    task_run_id: Annotated[UUID | None, doc("The run with the result; null for a task.")]
    channel_id: None
    metadata: Annotated[
        JsonDict,
        doc(
            "Of a task `slug`, `status` (of the latest run) and `repository`; of a pull request `url`, `number` and "
            "`repository`; of an artifact `type`, `size` and `content_type`."
        ),
    ]


class BatchAction(StrEnum):
    """What a batch does with each of its tasks."""

    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    DELETE = "delete"


class BatchIn(Input):
    """A change to many tasks."""

    examples: ClassVar = {
        "Archive two tasks": {
            "action": "archive",
            "ids": [f"019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f4{n}" for n in range(2)],
        }
    }

    action: Annotated[BatchAction, Choice(of=BatchAction), doc("What to do with each task.")]
    ids: Annotated[
        list[Annotated[UUID, Uuid()]],
        Items(max_length=_MAX_IN_BATCH, empty=False),
        doc("Ids of tasks; one that is repeated counts once."),
    ]


class BatchResult(StrEnum):
    """What a batch did with a task."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    NOT_FOUND = "not_found"


class BatchedTask(TypedDict):
    """A task of a batch, and what was done with it."""

    id: UUID
    result: Annotated[
        BatchResult,
        doc("`unchanged`: it was so already; `not_found`: unknown, deleted, or not visible to the caller."),
    ]


class BatchOut(TypedDict):
    """The result of a batch for each task."""

    results: Annotated[list[BatchedTask], doc("One for each different id, in the order of the request.")]
