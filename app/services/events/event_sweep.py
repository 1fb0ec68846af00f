"""Remove events from the ledger after `event_retention_days`, and record each project's last removed event."""

from datetime import timedelta

from sqlalchemy import Uuid, any_, case, delete, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.db.statements import count_changed, rows_of
from app.models import Event, EventCursor, EventHorizon, EventSnapshot
from app.services.events.cursor import IN_ORDER, UNBORN

_AT_ONCE = 5000
# A position from another cluster counts as before all transactions of this one.
_READ_UP_TO = tuple_(
    case((EventCursor.transaction_id >= UNBORN, 0), else_=EventCursor.transaction_id), EventCursor.seq
)


async def adopt_events(sessions: SessionFactory, *, at_once: int = _AT_ONCE) -> int:
    """Give events restored from another cluster the transaction id 0, for which no reader waits; return how many."""
    restored = select(*IN_ORDER).where(Event.transaction_id >= UNBORN).order_by(*IN_ORDER).limit(at_once)
    adopted, page = 0, restored
    # In one transaction: readers read no newer event until it commits, so none skips an event of a later step (ADR 60).
    async with unit_of_work(sessions) as session:
        await session.execute(
            update(EventHorizon).where(EventHorizon.transaction_id >= UNBORN).values(transaction_id=0)
        )
        while places := await rows_of(session, page):
            step = update(Event).where(tuple_(*IN_ORDER).between(tuple_(*places[0]), tuple_(*places[-1])))
            adopted += await count_changed(session, step.values(transaction_id=0))
            # The next page starts after this one: old versions of its rows stay in the index until the commit.
            page = restored.where(tuple_(*IN_ORDER) > tuple_(*places[-1]))
    return adopted


async def prune_events(session: AsyncSession, *, kept: timedelta, at_once: int = _AT_ONCE) -> int:
    """Delete a batch of events older than `kept` that each reader of the whole ledger has read; return their number."""
    # No CTE as in `delete_batch` is needed: it skips no locked rows, and finds the same however often it runs.
    oldest = select(*IN_ORDER).order_by(*IN_ORDER).limit(at_once)
    unread = select(EventCursor.reader).where(tuple_(*IN_ORDER) > _READ_UP_TO).exists()
    deleted = (
        delete(Event)
        .where(tuple_(*IN_ORDER).in_(oldest), Event.occurred_at <= utcnow() - kept, ~unread)
        .returning(Event.project_id, Event.transaction_id, Event.seq, Event.id)
    )
    rows = await rows_of(session, deleted)
    if not rows:
        return 0
    ids = literal([id_ for *_, id_ in rows], ARRAY(Uuid))
    await session.execute(delete(EventSnapshot).where(EventSnapshot.event_id == any_(ids)))
    # Sorted, so that the dict keeps the last event of each project, and all sweeps lock projects in the same order.
    newest = {project_id: (x, y) for project_id, x, y, _ in sorted(rows)}
    horizon = upsert(EventHorizon).values(
        [{"project_id": key, "transaction_id": x, "seq": y} for key, (x, y) in newest.items()]
    )
    await session.execute(
        horizon.on_conflict_do_update(
            index_elements=[EventHorizon.project_id],
            set_={"transaction_id": horizon.excluded.transaction_id, "seq": horizon.excluded.seq},
            where=tuple_(EventHorizon.transaction_id, EventHorizon.seq)
            < tuple_(horizon.excluded.transaction_id, horizon.excluded.seq),
        )
    )
    return len(rows)
