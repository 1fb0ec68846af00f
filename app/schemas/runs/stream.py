"""The live stream of a run: how it is asked for, and how far the events of its agent are taken (contract 6.4)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from app.schemas.base import QueryInput
from app.schemas.fields import Text, Uuid


class StreamQuery(QueryInput):
    """Where to begin, and who is watching; an empty parameter counts as not given."""

    start: Annotated[
        str | None,
        Text(max_length=255, blank_is_absent=True),
        Field(description="`latest`: only what happens from now on. Otherwise from the beginning."),
    ] = None
    last_event_id: Annotated[
        str | None,
        Text(max_length=255, blank_is_absent=True),
        Field(description="The same as `Last-Event-ID`, where no header can be set. The header goes before."),
    ] = None
    device_id: Annotated[
        UUID | None,
        Uuid(),
        Field(
            description="One of the caller's devices, as its registration answered it: it counts as watching the "
            "task while the stream is open, and gets no pushes about it."
        ),
    ] = None


class PositionOut(TypedDict):
    """How far the events of a run are taken."""

    last_accepted_seq: Annotated[
        int, Field(description="Number of the last event that was taken; 0: none yet.", ge=0)
    ]
