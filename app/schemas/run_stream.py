"""The live stream of a run: how it is asked for (contract 6.4)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.schemas.base import QueryInput
from app.schemas.fields import Text, Uuid

__all__ = ["StreamQuery"]


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
