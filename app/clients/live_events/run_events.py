"""The events of a run's live stream."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from typing_extensions import override

from app.clients.live_events.server_sent_events import encode

MAX_EVENT_BYTES = 64 * 1024
# A number with more digits is not from us, and too large for Redis.
_MAX_DIGITS = 18


class EventKind(StrEnum):
    """The kind of a stream event, stored apart from its content, so that an agent's output cannot imitate it."""

    ENTRY = "entry"
    STATE = "state"
    # The first event of a run: a stream that begins with it is complete.
    OPENED = "opened"
    # The run is over; nothing follows, unless it is reopened.
    ENDED = "ended"
    # Events are missing here: `lost` of them could not be sent.
    GAP = "gap"
    # Replaces an event of `bytes`, which is too large for the stream.
    OMITTED = "omitted"


class EventId(NamedTuple):
    """A position in the live stream, `<epoch>-<number>`; a new epoch: the stream was lost and began again."""

    epoch: int
    number: int

    @override
    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> "EventId | None":
        epoch, _, number = text.partition("-")
        if not (_is_number(epoch) and _is_number(number)):
            return None
        return cls(int(epoch), int(number))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


@dataclass(frozen=True)
class RunEvent:
    """An event of the live stream: `data` is JSON on one line, `id` is None if it is not stored in Redis."""

    id: EventId | None
    kind: EventKind
    data: bytes

    @cached_property
    def frame(self) -> bytes:
        """The event encoded as a server-sent event (SSE). It is encoded at the first access and then kept."""
        name = b"gap" if self.kind is EventKind.GAP else b""
        return encode(self.data, name=name, id_=b"" if self.id is None else str(self.id).encode())
