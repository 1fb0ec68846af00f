"""Presence: the body of a beat, and what a leaving device says (contract 5.6, 5.7)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.schemas.base import Input, QueryInput
from app.schemas.fields import Uuid

__all__ = ["PresenceIn", "PresenceLeaveIn", "PresenceLeaveQuery"]

_WHICH = "Id of the device, as its registration answered it."


class PresenceIn(Input):
    """A device that shows the task."""

    device_id: Annotated[UUID, Uuid(), Field(description=_WHICH)]


class PresenceLeaveIn(Input):
    """A device that shows the task no longer."""

    device_id: Annotated[UUID | None, Uuid(), Field(description=_WHICH)] = None


class PresenceLeaveQuery(QueryInput):
    """The same for clients that cannot send a body with DELETE."""

    device_id: Annotated[UUID | None, Uuid(), Field(description=_WHICH + " The body goes before.")] = None
