"""The catalogue of all event types: their descriptions, and the schemas and examples that are published."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.enums import AnswerVia, DisabledReason, EventType, QuestionKind, RunStatus, Urgency, Verdict
from app.json_types import JsonDict
from app.schemas.events import EventTypeOut

JsonSchema = JsonDict

_TASK_ID = "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40"
_AT = "2026-03-01T09:30:00.123456Z"
# The version of this service that introduced the types.
_SINCE = "0.1.0"


class _Field(NamedTuple):
    schema: JsonSchema
    example: object
    is_optional: bool = False


def _text(description: str, example: str, *, is_optional: bool = False) -> _Field:
    return _Field({"type": "string", "description": description}, example, is_optional)


def _id(example: str) -> _Field:
    return _Field({"type": "string", "format": "uuid"}, example)


def _one_of(members: Iterable[str], example: str) -> _Field:
    return _Field({"type": "string", "enum": list(map(str, members))}, example)


def _always(value: str) -> _Field:
    return _Field({"const": str(value)}, str(value))


_PROJECT = {"project_id": _Field({"type": "integer"}, 1)}
_TASK = {
    **_PROJECT,
    "task_id": _id(_TASK_ID),
    "seq": _Field(
        {"type": "integer", "minimum": 1, "description": "Counts the events of the run, else of the task."}, 3
    ),
    "url": _text(
        "Where people see the task; a path of the API if nothing is configured.",
        f"/api/projects/1/tasks/{_TASK_ID}/",
    ),
}
_RUN = {**_TASK, "run_id": _id("019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40")}
_ENDPOINT = {**_PROJECT, "endpoint_id": _id("019ca8a0-6666-7c3e-9f62-0b5c1d2e3f40")}
_QUESTION_ID = "019ca8a0-3333-7c3e-9f62-0b5c1d2e3f40"
_QUESTION = {
    **_RUN,
    "question_id": _text("The id of the question, as in the inbox.", _QUESTION_ID),
    "kind": _one_of(QuestionKind, "permission"),
    "urgency": _one_of(Urgency, "normal"),
}
_QUEUE_POSITION = _Field(
    {"type": "integer", "minimum": 1, "description": "Its place among the waiting runs of the project."}, 1
)
_ATTEMPT = _Field({"type": "integer", "description": "How often a worker took it up."}, 1)
_VERDICT = _one_of(Verdict, Verdict.VERIFIED)
_CHECKED = _Field({"type": "integer", "description": "The number of the attempt to check the work."}, 1)
_COMMIT = _text("The commit that was checked.", "5f8c1b7d2e9a4c60b3f1d8e7a6c5b4d3e2f1a0b9")
_WAITS_FOR = _one_of(["permission", "message"], "permission")


class CataloguedType:
    """An event type in the catalogue: its description, and the fields of its `data`."""

    def __init__(
        self, type_: EventType, description: str, subject: Mapping[str, _Field] = _RUN, **more: _Field
    ) -> None:
        self.type = type_
        self.description = description
        self._fields = {**subject, **more}

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of the body of a webhook message with an event of this type."""
        data: JsonSchema = {
            "type": "object",
            "required": sorted(name for name, field in self._fields.items() if not field.is_optional),
            "properties": {name: field.schema for name, field in self._fields.items()}
            | _added_to_full_bodies(self._fields),
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
    def example(self) -> JsonDict:
        """An example of the body of a webhook message, without the task and run of full bodies."""
        data = {name: field.example for name, field in self._fields.items()}
        return {"type": self.type.value, "timestamp": _AT, "data": data}


def _added_to_full_bodies(known: Mapping[str, object]) -> JsonSchema:
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


def _ended(type_: EventType, status: RunStatus, how: str, **more: _Field) -> CataloguedType:
    description = f"A run {how}. Sent once, at its first terminal status, set by a worker or a client."
    return CataloguedType(type_, description, _RUN, status=_always(status), **more)


_TYPES = (
    CataloguedType(EventType.TASK_CREATED, "A task was created.", _TASK),
    CataloguedType(
        EventType.TASK_UPDATED,
        "Fields of a task were changed.",
        _TASK,
        changed=_Field(
            {"type": "array", "items": {"type": "string"}, "description": "Names of the fields written."},
            ["description", "title"],
        ),
    ),
    CataloguedType(EventType.TASK_DELETED, "A task was deleted.", _TASK),
    CataloguedType(
        EventType.RUN_QUEUED,
        "A run waits to be performed: it was created, or is to be performed again.",
        status=_always(RunStatus.QUEUED),
        queue_position=_QUEUE_POSITION._replace(is_optional=True),
    ),
    CataloguedType(
        EventType.RUN_STARTED,
        "A run is in progress for the first time.",
        status=_always(RunStatus.IN_PROGRESS),
        attempt=_ATTEMPT,
    ),
    CataloguedType(
        EventType.RUN_RECOVERED,
        "A worker was lost or stopped before its agent ended; the run waits for another one.",
        status=_always(RunStatus.QUEUED),
        attempt=_ATTEMPT,
        queue_position=_QUEUE_POSITION,
    ),
    CataloguedType(
        EventType.RUN_AWAITING_INPUT,
        "The agent of a run waits for a person: for an answer to its question, or for a message.",
        kind=_WAITS_FOR,
        question_id=_text("The id of the question; absent for a message.", _QUESTION_ID, is_optional=True),
    ),
    CataloguedType(
        EventType.RUN_RESUMED,
        "The agent of a run no longer waits for a person, and goes on.",
        kind=_WAITS_FOR,
        question_id=_text("The question that was settled.", _QUESTION_ID, is_optional=True),
    ),
    CataloguedType(
        EventType.QUESTION_OPENED,
        "An agent asks something or waits for a message, or work is not verified.",
        _QUESTION,
    ),
    CataloguedType(
        EventType.QUESTION_ANSWERED,
        "A question was answered; the first answer counts.",
        _QUESTION,
        via=_one_of(AnswerVia, "api"),
        option_kind=_text(
            "The kind of the option that was chosen, if one was.", "allow_once", is_optional=True
        ),
    ),
    CataloguedType(EventType.QUESTION_EXPIRED, "No answer to a question came in time.", _QUESTION),
    CataloguedType(
        EventType.QUESTION_WITHDRAWN,
        "A question needs no answer any more.",
        _QUESTION,
    ),
    _ended(
        EventType.RUN_COMPLETED,
        RunStatus.COMPLETED,
        "was completed",
        verdict=_VERDICT._replace(is_optional=True),
    ),
    _ended(
        EventType.RUN_FAILED,
        RunStatus.FAILED,
        "failed",
        error_type=_text(
            "A word for programs: `agent_crashed`, `agent_timed_out`, `budget_spent`, "
            "`repository_not_found`, `worker_lost`, `client`, and others.",
            "agent_timed_out",
        ),
        verdict=_VERDICT._replace(is_optional=True),
    ),
    _ended(EventType.RUN_CANCELLED, RunStatus.CANCELLED, "was cancelled"),
    CataloguedType(
        EventType.RUN_PULL_REQUEST_OPENED,
        "A run has a pull request.",
        pr_url=_Field({"type": "string"}, "https://github.com/acme/shop/pull/7"),
    ),
    CataloguedType(
        EventType.RUN_ARTIFACT_ADDED,
        "A run has a new file.",
        artifact_id=_Field({"type": "string"}, "0b5c1d2e3f40419f8a7b6c5d4e3f2a1b"),
        type=_Field({"type": "string"}, "output"),
        size=_Field({"type": "integer"}, 2048),
    ),
    CataloguedType(
        EventType.VERIFICATION_STARTED,
        "The checks of what a run delivered are asked for.",
        attempt=_CHECKED,
        commit=_COMMIT,
    ),
    CataloguedType(
        EventType.VERIFICATION_FINISHED,
        "The checks of what a run delivered have a verdict. If it is not final, the agent corrects its work.",
        verdict=_VERDICT,
        attempt=_CHECKED,
        commit=_COMMIT,
        counts=_Field(
            {
                "type": "object",
                "description": "The numbers of checks.",
                "properties": {
                    name: {"type": "integer"} for name in ("passed", "failed", "inconclusive", "skipped")
                },
            },
            {"passed": 2, "failed": 1, "inconclusive": 0, "skipped": 0},
        ),
        final=_Field({"type": "boolean"}, example=True),
    ),
    CataloguedType(
        EventType.VERIFICATION_UPDATED,
        "The verification of a run that is over was repeated, waived, or joined by the code host's own checks.",
        verdict=_VERDICT,
        previous_verdict=_Field({"enum": [*Verdict, None]}, Verdict.REFUTED.value),
        attempt=_CHECKED,
        cause=_one_of(["rerun", "waiver", "ci"], "rerun"),
        waived=_Field({"type": "boolean"}, example=False),
    ),
    CataloguedType(
        EventType.WEBHOOK_ENDPOINT_DISABLED,
        "One of the caller's endpoints was disabled by the service; sent to their other ones.",
        _ENDPOINT,
        reason=_one_of(DisabledReason, "no_success"),
    ),
)

CATALOGUE: Mapping[EventType, CataloguedType] = {known.type: known for known in _TYPES}

# Sent on request to one endpoint; it is not in the ledger, and endpoints cannot subscribe to it.
PING = CataloguedType(EventType.PING, "An endpoint is tested.", _ENDPOINT)

_FAMILIES = sorted({type_.partition(".")[0] for type_ in CATALOGUE})
# All selectors of events, which errors name: `*` for all, a family such as `run.*`, or an event type.
VALID_SELECTORS: tuple[str, ...] = ("*", *(f"{family}.*" for family in _FAMILIES), *CATALOGUE)


def published_types() -> list[EventTypeOut]:
    """Return the event types that webhook endpoints can subscribe to, as the API shows them."""
    return [
        {
            "type": known.type,
            "description": known.description,
            "schema": known.schema,
            "example": known.example,
            "since": _SINCE,
        }
        for known in _TYPES
    ]
