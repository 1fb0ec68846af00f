"""The frames of live streams: server-sent events."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson

from app.clients.live_events.server_sent_events import encode
from app.services.events.cursor import Cursor
from app.services.events.rendering import EventRow, event_out

# The delay of a client before it reconnects, in milliseconds.
RETRY = b"retry: 2000\n\n"
# The last event of a stream that has lasted long enough: its client reconnects with its last id.
ROTATED = encode(b'{"type":"rotated"}', name=b"end")


def keepalive(id_: bytes = b"") -> bytes:
    """Return the bytes of a keepalive event. A client that reconnects continues after the id `id_`, if one is given."""
    return encode(b'{"type":"keepalive"}', name=b"keepalive", id_=id_)


KEEPALIVE = keepalive()


@dataclass(frozen=True, eq=False)
class LedgerEvent:
    """An event of the ledger. It is encoded when it is first needed, once for all live streams of the process."""

    row: EventRow
    link: str
    # Who may see an event of a shared reading.
    audience: int | None = None
    inboxes: Sequence[int] | None = None

    @cached_property
    def place(self) -> Cursor:
        return self.row.place

    @cached_property
    def id(self) -> str:
        """The position after the event, as the id of a server-sent event."""
        return str(self.place)

    @cached_property
    def data(self) -> bytes:
        return orjson.dumps(event_out(self.row, self.link), default=str, option=orjson.OPT_UTC_Z)

    @cached_property
    def frame(self) -> bytes:
        """The event as a server-sent event, with its position as id: for a stream of ledger events only."""
        return encode(self.data, id_=self.id.encode())
