"""Positions in the ledger of events, by transaction and number, from which readers continue (ADR 60)."""

import base64
import binascii
import struct
from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, case, literal_column, tuple_
from typing_extensions import override

from app.models import Event

_FORM = struct.Struct(">qq")


class Cursor(NamedTuple):
    """The position after an event of the ledger. Clients receive it as opaque text."""

    transaction_id: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """Return the position in a text from a client; None if the text is not one that the service has made."""
        try:
            raw = base64.b64decode(f"{text}==", altchars=b"-_", validate=True)
            transaction_id, seq = _FORM.unpack(raw)
        except (binascii.Error, struct.error, ValueError):
            return None
        return cls(transaction_id, seq) if transaction_id >= 0 and seq >= 0 else None

    @override
    def __str__(self) -> str:
        return base64.urlsafe_b64encode(_FORM.pack(*self)).rstrip(b"=").decode()

    def values(self) -> dict[str, int]:
        """Return the parameters of the SQL condition `AFTER` for this position."""
        return {"after_transaction": self.transaction_id, "after_seq": self.seq}


START = Cursor(0, 0)

# The oldest transaction that is still open.
SETTLED: ColumnElement[int] = literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
# The next transaction id of this cluster. Rows with this id or a greater one were restored from a dump of another
# cluster (`event_sweep.py`).
UNBORN: ColumnElement[int] = literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
_AFTER_TRANSACTION = bindparam("after_transaction", type_=BigInteger)
# The position of `Cursor.values`. A position from another cluster counts as before all transactions of this one.
PLACE_COLUMNS = (
    case((_AFTER_TRANSACTION >= UNBORN, literal_column("0", BigInteger)), else_=_AFTER_TRANSACTION),
    bindparam("after_seq", type_=BigInteger),
)
PLACE = tuple_(*PLACE_COLUMNS)
# The rows after a position of transactions older than every open one: otherwise a row that commits later could land
# before one already read, and be skipped.
AFTER = and_(tuple_(Event.transaction_id, Event.seq) > PLACE, Event.transaction_id < SETTLED)
IN_ORDER = (Event.transaction_id, Event.seq)
