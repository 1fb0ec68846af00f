"""The query of a run's live stream, and the position in its agent's events (contract 6.4)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from app.schemas.base import QueryInput, doc
from app.schemas.events import LAST_EVENT_ID
from app.schemas.fields import Text, Uuid


class StreamQuery(QueryInput):
    """The query parameters of a run's live stream: the start position, and the device that shows the stream.

    An empty parameter is treated as not given.
    """

    start: Annotated[
        str | None,
        Text(max_length=255, blank_is_absent=True),
        doc("`latest`: only events from now on. By default, all events of the run."),
    ] = None
    last_event_id: Annotated[
        str | None,
        Text(max_length=255, blank_is_absent=True),
        doc(LAST_EVENT_ID),
    ] = None
    device_id: Annotated[
        UUID | None,
        Uuid(),
        doc(
            "Id of one of the caller's devices, from its registration. While the stream is open, the "
            "device counts as watching the task and gets no pushes about it."
        ),
    ] = None


class PositionOut(TypedDict):
    """The response with the number of the last stream event that the service has accepted from a run's agent, or 0."""

    last_accepted_seq: Annotated[
        int, Field(description="Number of the last accepted event; 0: none yet.", ge=0)
    ]
