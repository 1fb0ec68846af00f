"""The catalogue of all event types: their descriptions, and the schemas and examples that are published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.enums import AnswerVia, DisabledReason, EventType, QuestionKind, RunStatus, Urgency
from app.schemas.events import EventTypeOut

JsonSchema = dict[str, Any]

_TASK_ID = "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40"
_RUN_ID = "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40"
_ENDPOINT_ID = "019ca8a0-6666-7c3e-9f62-0b5c1d2e3f40"
_QUESTION_ID = "019ca8a0-3333-7c3e-9f62-0b5c1d2e3f40"
_AT = "2026-03-01T09:30:00.123456Z"

_TASK: Mapping[str, tuple[JsonSchema, Any]] = {
    "project_id": ({"type": "integer"}, 1),
    "task_id": ({"type": "string", "format": "uuid"}, _TASK_ID),
    "seq": (
        {"type": "integer", "minimum": 1, "description": "Counts the events of the run, else of the task."},
        3,
    ),
    "url": (
        {
            "type": "string",
            "description": "Where people see the task; a path of the API if nothing is configured.",
        },
        f"/api/projects/1/tasks/{_TASK_ID}/",
    ),
}
_RUN = {**_TASK, "run_id": ({"type": "string", "format": "uuid"}, _RUN_ID)}
_QUEUE_POSITION: tuple[JsonSchema, Any] = (
    {"type": "integer", "minimum": 1, "description": "Its place among the waiting runs of the project."},
    1,
)
_PROJECT = {"project_id": _TASK["project_id"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguedType:
    """An event type in the catalogue: its description, and the fields of its `data` with their schemas and examples."""

    type: EventType
    description: str
    subject: Mapping[str, tuple[JsonSchema, Any]]
    fields: Mapping[str, tuple[JsonSchema, Any]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    since: str = "0.1.0"

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of the body of a webhook message with an event of this type."""
        known = {**self.subject, **self.fields}
        data: JsonSchema = {
            "type": "object",
            "required": sorted(known.keys() - self.optional),
            "properties": {name: schema for name, (schema, _) in known.items()}
            | _added_to_full_bodies(known),
        }
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.type.value,
            "description": self.description,
            "type": "object",
            "required": ["type", "timestamp", "data"],
            "properties": {
                "type": {"const": self.type.value},
                "timestamp": {"type": "string", "format": "date-time"},
                "data": data,
            },
        }

    @property
    def example(self) -> dict[str, Any]:
        """An example of the body of a webhook message, without the task and run of full bodies."""
        known = {**self.subject, **self.fields}
        return {
            "type": self.type.value,
            "timestamp": _AT,
            "data": {name: example for name, (_, example) in known.items()},
        }


def _added_to_full_bodies(known: Mapping[str, Any]) -> JsonSchema:
    if "task_id" not in known:
        return {}
    added: JsonSchema = {
        "task": {"type": "object", "description": "Full bodies: the task as `GET` answered then."}
    }
    if "run_id" in known:
        added["run"] = {"type": "object", "description": "Full bodies: the run as `GET` answered then."}
    added["truncated"] = {
        "const": True,
        "description": "A full body was wanted, and is too large or not there: read the task.",
    }
    return added


def _question(type_: EventType, description: str, **fields: tuple[JsonSchema, Any]) -> CataloguedType:
    return CataloguedType(
        type=type_,
        description=description,
        subject=_RUN,
        fields={
            "question_id": (
                {"type": "string", "description": "The id of the question, as in the inbox."},
                _QUESTION_ID,
            ),
            "kind": ({"type": "string", "enum": [kind.value for kind in QuestionKind]}, "permission"),
            "urgency": ({"type": "string", "enum": [urgency.value for urgency in Urgency]}, "normal"),
            **fields,
        },
        optional=frozenset({"option_kind"}),
    )


def _ended(type_: EventType, status: RunStatus, how: str) -> CataloguedType:
    fields: dict[str, tuple[JsonSchema, Any]] = {"status": ({"const": status.value}, status.value)}
    if status is RunStatus.FAILED:
        fields["error_type"] = (
            {
                "type": "string",
                "description": "A word for programs: `agent_crashed`, `agent_timed_out`, `budget_spent`, "
                "`repository_not_found`, `worker_lost`, `client`, and others.",
            },
            "agent_timed_out",
        )
    return CataloguedType(
        type=type_,
        description=f"A run {how}. Sent once, at its first terminal status, set by a worker or a client.",
        subject=_RUN,
        fields=fields,
    )


_TYPES = (
    CataloguedType(type=EventType.TASK_CREATED, description="A task was created.", subject=_TASK),
    CataloguedType(
        type=EventType.TASK_UPDATED,
        description="Fields of a task were changed.",
        subject=_TASK,
        fields={
            "changed": (
                {"type": "array", "items": {"type": "string"}, "description": "Names of the fields written."},
                ["description", "title"],
            )
        },
    ),
    CataloguedType(type=EventType.TASK_DELETED, description="A task was deleted.", subject=_TASK),
    CataloguedType(
        type=EventType.RUN_QUEUED,
        description="A run waits to be performed: it was created, or is to be performed again.",
        subject=_RUN,
        fields={"status": ({"const": "queued"}, "queued"), "queue_position": _QUEUE_POSITION},
        optional=frozenset({"queue_position"}),
    ),
    CataloguedType(
        type=EventType.RUN_STARTED,
        description="A run is in progress for the first time.",
        subject=_RUN,
        fields={
            "status": ({"const": "in_progress"}, "in_progress"),
            "attempt": ({"type": "integer", "description": "How often a worker took it up."}, 1),
        },
    ),
    CataloguedType(
        type=EventType.RUN_RECOVERED,
        description="A worker was lost or stopped before its agent ended; the run waits for another one.",
        subject=_RUN,
        fields={
            "status": ({"const": "queued"}, "queued"),
            "attempt": ({"type": "integer", "description": "How often a worker took it up."}, 1),
            "queue_position": _QUEUE_POSITION,
        },
    ),
    CataloguedType(
        type=EventType.RUN_AWAITING_INPUT,
        description="The agent of a run waits for a person: for an answer to its question, or for a message.",
        subject=_RUN,
        fields={
            "kind": ({"type": "string", "enum": ["permission", "message"]}, "permission"),
            "question_id": (
                {"type": "string", "description": "The id of the question; absent for a message."},
                _QUESTION_ID,
            ),
        },
        optional=frozenset({"question_id"}),
    ),
    CataloguedType(
        type=EventType.RUN_RESUMED,
        description="The agent of a run no longer waits for a person, and goes on.",
        subject=_RUN,
        fields={
            "kind": ({"type": "string", "enum": ["permission", "message"]}, "permission"),
            "question_id": (
                {"type": "string", "description": "The question that was settled."},
                _QUESTION_ID,
            ),
        },
        optional=frozenset({"question_id"}),
    ),
    _question(EventType.QUESTION_OPENED, "An agent asks something, or waits for a message."),
    _question(
        EventType.QUESTION_ANSWERED,
        "A question was answered; the first answer counts.",
        via=({"type": "string", "enum": [via.value for via in AnswerVia]}, "api"),
        option_kind=(
            {"type": "string", "description": "The kind of the option that was chosen, if one was."},
            "allow_once",
        ),
    ),
    _question(EventType.QUESTION_EXPIRED, "No answer to a question came in time."),
    _question(
        EventType.QUESTION_WITHDRAWN, "The agent, its turn or its run ended before a question was answered."
    ),
    _ended(EventType.RUN_COMPLETED, RunStatus.COMPLETED, "was completed"),
    _ended(EventType.RUN_FAILED, RunStatus.FAILED, "failed"),
    _ended(EventType.RUN_CANCELLED, RunStatus.CANCELLED, "was cancelled"),
    CataloguedType(
        type=EventType.RUN_PULL_REQUEST_OPENED,
        description="A run has a pull request.",
        subject=_RUN,
        fields={"pr_url": ({"type": "string"}, "https://github.com/acme/shop/pull/7")},
    ),
    CataloguedType(
        type=EventType.RUN_ARTIFACT_ADDED,
        description="A run has a new file.",
        subject=_RUN,
        fields={
            "artifact_id": ({"type": "string"}, "0b5c1d2e3f40419f8a7b6c5d4e3f2a1b"),
            "type": ({"type": "string"}, "output"),
            "size": ({"type": "integer"}, 2048),
        },
    ),
    CataloguedType(
        type=EventType.WEBHOOK_ENDPOINT_DISABLED,
        description="One of the caller's endpoints was disabled by the service; sent to their other ones.",
        subject=_PROJECT,
        fields={
            "endpoint_id": ({"type": "string", "format": "uuid"}, _ENDPOINT_ID),
            "reason": ({"type": "string", "enum": [reason.value for reason in DisabledReason]}, "no_success"),
        },
    ),
)

CATALOGUE: Mapping[EventType, CataloguedType] = {known.type: known for known in _TYPES}

# Sent on request to one endpoint; it is not in the ledger, and endpoints cannot subscribe to it.
PING = CataloguedType(
    type=EventType.PING,
    description="An endpoint is tested.",
    subject=_PROJECT,
    fields={"endpoint_id": ({"type": "string", "format": "uuid"}, _ENDPOINT_ID)},
)

_FAMILIES = sorted({type_.partition(".")[0] for type_ in CATALOGUE})
# The selectors of events that errors name: `*` for all, a family such as `run.*`, or an event type.
OFFERED_SELECTORS: tuple[str, ...] = ("*", *(f"{family}.*" for family in _FAMILIES), *CATALOGUE)
# All valid selectors. The last family has no types yet: receivers may subscribe ahead.
KNOWN_SELECTORS: tuple[str, ...] = (*OFFERED_SELECTORS, "verification.*")


def published_types() -> list[EventTypeOut]:
    """Return the event types that webhook endpoints can subscribe to, as the API shows them."""
    return [
        {
            "type": known.type,
            "description": known.description,
            "schema": known.schema,
            "example": known.example,
            "since": known.since,
        }
        for known in _TYPES
    ]
