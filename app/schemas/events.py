"""The query for events, and a page of the ledger."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from app.schemas.base import QueryInput
from app.schemas.fields import Text, Uuid

_WORD = Text(max_length=2000, blank_is_absent=True)


class EventQuery(QueryInput):
    """The filters of the event list; an empty parameter counts as not given."""

    after: Annotated[
        str | None,
        Text(max_length=64, blank_is_absent=True),
        Field(
            description="`next_after` of an earlier answer: only later events. Absent: from the oldest stored event."
        ),
    ] = None
    type: Annotated[
        str | None,
        _WORD,
        Field(description="Comma list of types, or families such as `run.*`."),
    ] = None
    task_id: Annotated[UUID | None, Uuid(), Field(description="Only events of this task.")] = None
    run_id: Annotated[UUID | None, Uuid(), Field(description="Only events of this run.")] = None


class EventStreamQuery(QueryInput):
    """The topics to follow, and the position to start from."""

    topics: Annotated[
        str | None,
        _WORD,
        Field(
            description="Comma list: `tasks` for the ledger of the project (the default), `inbox` for the events of the "
            "caller's questions in all projects, `run:<id>` for the stream of a run."
        ),
    ] = None
    last_event_id: Annotated[
        str | None,
        _WORD,
        Field(
            description="As `Last-Event-ID`, for clients that cannot set headers. The header has precedence."
        ),
    ] = None


class EventOut(TypedDict):
    """One event."""

    id: Annotated[UUID, Field(description="The `webhook-id` of its deliveries.")]
    seq: Annotated[int, Field(description="Its number in the ledger, which is not the order of commits.")]
    type: Annotated[str, Field(examples=["run.completed"])]
    timestamp: datetime
    data: Annotated[
        dict[str, Any],
        Field(description="As `webhook_event_types` describes it.", examples=[{"project_id": 1, "seq": 3}]),
    ]


class EventPage(TypedDict):
    """Events, oldest first."""

    results: list[EventOut]
    next_after: Annotated[
        str,
        Field(
            description="Opaque; send it as `after` to continue. Never null.",
            examples=["AAAAAAAAA7oAAAAAAAAAKg"],
        ),
    ]
    truncated: Annotated[
        bool,
        Field(
            description="Whether events after `after` were deleted already: then read the tasks themselves."
        ),
    ]


class EventTypeOut(TypedDict):
    """An event type."""

    type: str
    description: str
    schema: Annotated[dict[str, Any], Field(description="JSON Schema of the whole body.")]
    example: dict[str, Any]
    since: Annotated[str, Field(description="The version that sent it first.")]
