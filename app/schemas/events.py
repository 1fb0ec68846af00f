"""Queries for the events of a project, and a page of them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from app.json_types import JsonDict
from app.schemas.base import QueryInput, doc
from app.schemas.fields import Text, Uuid

_WORD = Text(max_length=2000, blank_is_absent=True)
LAST_EVENT_ID = (
    "The same as the header `Last-Event-ID`, for clients that cannot set headers. The header has precedence."
)


class EventQuery(QueryInput):
    """The query parameters that filter the list of a project's events; an empty parameter is treated as not given."""

    after: Annotated[
        str | None,
        Text(max_length=64, blank_is_absent=True),
        doc("`next_after` of an earlier response: only later events. By default, all stored events."),
    ] = None
    type: Annotated[
        str | None, _WORD, doc("Only events of these types or families (`run.*`), separated by commas.")
    ] = None
    task_id: Annotated[UUID | None, Uuid(), doc("Only events of this task.")] = None
    run_id: Annotated[UUID | None, Uuid(), doc("Only events of this run.")] = None


class EventStreamQuery(QueryInput):
    """The query parameters of a live event stream: its topics, and the position to start from."""

    topics: Annotated[
        str | None,
        _WORD,
        doc(
            "Topics, separated by commas: `tasks` for the events of the project's tasks (the default), `inbox` for the "
            "events of the caller's questions in all projects, `run:<id>` for the stream of a run."
        ),
    ] = None
    last_event_id: Annotated[str | None, _WORD, doc(LAST_EVENT_ID)] = None


class InboxStreamQuery(QueryInput):
    """The position from which the live stream of an inbox starts."""

    last_event_id: Annotated[str | None, _WORD, doc(LAST_EVENT_ID)] = None


class EventOut(TypedDict):
    """One event in the life cycle of a task or run."""

    id: Annotated[UUID, doc("Id of the event; the `webhook-id` of its deliveries.")]
    seq: Annotated[int, doc("Number of the event. Events can become visible in a different order.")]
    type: Annotated[str, Field(examples=["run.completed"])]
    timestamp: datetime
    data: Annotated[
        JsonDict,
        doc(
            "Details of the event; `webhook_event_types` describes them by type.", {"project_id": 1, "seq": 3}
        ),
    ]


class EventPage(TypedDict):
    """A page of events, oldest first."""

    results: list[EventOut]
    next_after: Annotated[
        str, doc("Opaque; send it as `after` to continue. Never null.", "AAAAAAAAA7oAAAAAAAAAKg")
    ]
    truncated: Annotated[
        bool, doc("Whether events after `after` have been deleted: then read the tasks themselves.")
    ]


class EventTypeOut(TypedDict):
    """A type of events, with the JSON Schema and an example of its webhook body."""

    type: str
    description: str
    schema: Annotated[JsonDict, doc("JSON Schema of the whole body.")]
    example: JsonDict
    since: Annotated[str, doc("The version of this service that introduced the type.")]
