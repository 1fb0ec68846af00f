"""Bodies of devices that report which tasks they show (contract 5.6, 5.7)."""

from typing import Annotated, ClassVar
from uuid import UUID

from app.enums import DeviceKind
from app.errors import InvalidInput
from app.ids import MAX_BIGINT
from app.schemas.base import Input, QueryInput, doc
from app.schemas.fields import Boolean, Choice, Integer, Uuid

_WHICH = "Id of the device, as its registration answered it, or of a console session of the caller."
EXAMPLE_DEVICE = {"device_id": "019ca8a6-1111-7c3e-9f62-0b5c1d2e3f40"}


class PresenceIn(Input):
    """A report that a device shows the task now; it is valid for 60 seconds."""

    examples: ClassVar = {"A device": EXAMPLE_DEVICE}

    device_id: Annotated[UUID, Uuid(), doc(_WHICH)]
    focused: Annotated[
        bool, Boolean(), doc("Whether a person looks at the device; only then are pushes deferred.")
    ] = True
    kind: Annotated[
        DeviceKind | None,
        Choice(of=DeviceKind, null=True),
        doc(
            "`terminal`: a device that need not be registered; its id is any new UUID, and it gets no pushes."
        ),
    ] = None
    seen_seq: Annotated[
        int | None,
        Integer(minimum=0, maximum=MAX_BIGINT, null=True),
        doc(
            "The `seq` of the last event that the device has shown, as in the list of events; a value "
            "beyond the newest counts as the newest."
        ),
    ] = None


class PresenceLeaveQuery(QueryInput):
    """The device that no longer shows the task. Clients that cannot send a body with DELETE send it as a query."""

    device_id: Annotated[UUID | None, Uuid(), doc(_WHICH + " The body has precedence.")] = None


class PresenceLeaveIn(Input):
    """A report that a device no longer shows the task."""

    examples: ClassVar = {"A device": EXAMPLE_DEVICE}

    device_id: Annotated[UUID | None, Uuid(), doc(_WHICH)] = None

    def device_or(self, query: PresenceLeaveQuery) -> UUID:
        """Return the device of this body, or else that of the query. Raises InvalidInput."""
        device_id = self.device_id or query.device_id
        if device_id is None:
            raise InvalidInput("This field is required.", code="required", attr="device_id")
        return device_id
