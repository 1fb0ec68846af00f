"""Lock the log of a run for one writer at a time, and record the valid size of the stored object."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import DateTime, String, Table, bindparam, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.errors import Unavailable
from app.ids import new_hex_id
from app.models import Run, RunLogState, Task
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_RUN, require_run, visibility
from app.services.retrying.attempts import RetryBudget
from app.services.retrying.policies import LOG_LOCK
from app.services.run_log.event_ids import note_ids
from app.services.storage_keys import RunRef
from app.statements import Prepared

# The lock lapses after this time, or later if the store has much to copy. Its holder gives up well before that, which
# leaves the store time to finish a request that the holder has given up, so that never two write. If a lock of an
# ordinary log is not released (its holder died, the database was away, or the store may still write), it lapses before
# other writers give up waiting.
_LIFETIME = timedelta(seconds=15)
_SLOWEST_COPY = 8 * 1024 * 1024  # bytes a second
_WAIT_SECONDS = 20
_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.1

_MINE = {
    "writer": bindparam("own", type_=String()),
    "writer_until": bindparam("until", type_=DateTime(timezone=True)),
}
_COPYING = func.make_interval(0, 0, 0, 0, 0, 0, func.coalesce(RunLogState.size, 0) / float(_SLOWEST_COPY))


def _take_statement(insert_run: Insert) -> Prepared[Any]:
    """Return the statement that takes the lock of a log, unless it is held; `insert_run` inserts its row."""
    return Prepared(
        insert_run.on_conflict_do_update(
            index_elements=[RunLogState.run_id],
            set_=_MINE | {"writer_until": _MINE["writer_until"] + _COPYING},
            where=or_(RunLogState.writer_until.is_(None), RunLogState.writer_until <= bindparam("now")),
        ).returning(RunLogState.size, RunLogState.accepted_seq, RunLogState.writer_until)
    )


_TAKE = _take_statement(upsert(RunLogState).values(run_id=bindparam("run_id"), **_MINE))
# For callers, who may not see the run: the statement also checks visibility, because followers wait for the result.
_TAKE_IF_SEEN = _take_statement(
    # Into the table, not the class: the ORM would treat the values as rows to insert.
    upsert(cast("Table", RunLogState.__table__)).from_select(
        ["run_id", *_MINE],
        select(Run.id, *_MINE.values()).join(Task, Task.id == Run.task_id).where(VISIBLE_RUN),
    )
)
# The column `writer` stays: a holder that lost the answer can release again, as long as no other has taken the lock.
_RELEASE = Prepared(
    update(RunLogState)
    .where(RunLogState.run_id == bindparam("run"), RunLogState.writer == bindparam("own"))
    .values(
        size=bindparam("new_size"),
        accepted_seq=bindparam("new_accepted_seq"),
        writer_until=None,
        # An agent that has used `event_stream` may also write to the log in other ways.
        heard_at=case((RunLogState.heard_at.is_not(None), bindparam("now", type_=DateTime(timezone=True)))),
    )
    .returning(RunLogState.run_id)
)


@dataclass(slots=True)
class LogLock:
    """The lock of a run's log while a writer holds it, with the stored facts about the log."""

    # The valid size of the object; None if it was not recorded yet.
    size: int | None
    accepted_seq: int
    # In the time of the event loop.
    ends_at: float
    # Whether the store may still replace the object for the holder. If so at the end, the lock lapses by itself.
    is_writing: bool = False
    # The ids of taken events, and whether the log has them.
    event_ids: Mapping[str, bool] = field(default_factory=dict)


@asynccontextmanager
async def hold_lock(
    sessions: SessionFactory, ref: RunRef, caller: Principal | None
) -> AsyncGenerator[LogLock, None]:
    """Wait for the lock of a run's log and yield it; after the block, store the values of the lock and release it.

    If the lock cannot be released, it expires by itself. Readers ignore lines beyond the stored size of the log, and
    the next writer overwrites them. The same if the block failed while `is_writing` of the lock: another writer's lines
    would be lost if the store replaced the object after them. If `caller` is None, visibility is not checked. Raises
    DatabaseUnavailable, Unavailable.
    """
    writer = new_hex_id()
    lock = await _wait(sessions, ref, caller, writer)
    try:
        yield lock
    finally:
        if not lock.is_writing:
            await _release(sessions, ref, lock, writer)


async def _release(sessions: SessionFactory, ref: RunRef, lock: LogLock, writer: str) -> None:
    """Store the valid size of the log, and release the lock.

    Repeated while the database is away: a try may have been committed without an answer, and the caller must get the
    actual result.
    """
    values = {
        "run": ref.run_id,
        "own": writer,
        "new_size": lock.size,
        "new_accepted_seq": lock.accepted_seq,
        "now": utcnow(),
    }

    async def release() -> bool:
        async with unit_of_work(sessions) as session:
            is_released = await _RELEASE.first(session, values) is not None
            if is_released:
                await note_ids(session, ref.run_id, lock.event_ids)
            return is_released

    is_released = await RetryBudget(LOG_LOCK).call(release)
    if not is_released and asyncio.get_running_loop().time() >= lock.ends_at:
        # The lock lapsed, and other writers continued from the earlier size.
        raise Unavailable("The log of this run is busy. Please try again in a moment.")


async def _wait(sessions: SessionFactory, ref: RunRef, caller: Principal | None, writer: str) -> LogLock:
    pause = _FIRST_PAUSE_SECONDS
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            while (lock := await _try(sessions, ref, caller, writer)) is None:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
    except TimeoutError:
        raise Unavailable("The log of this run is busy. Please try again in a moment.") from None
    return lock


async def _try(
    sessions: SessionFactory, ref: RunRef, caller: Principal | None, writer: str
) -> LogLock | None:
    asked, now = asyncio.get_running_loop().time(), utcnow()
    values: dict[str, Any] = {"run_id": ref.run_id, "own": writer, "until": now + _LIFETIME, "now": now}
    if caller is not None:
        values |= {"task_id": ref.task_id, **visibility(caller)}
    async with unit_of_work(sessions) as session:
        row = await (_TAKE if caller is None else _TAKE_IF_SEEN).first(session, values)
        if row is None and caller is not None:
            # The lock is held, or the run is not visible.
            await require_run(session, caller, ref.task_id, ref.run_id)
    if row is None:
        return None
    size, accepted_seq, writer_until = row
    return LogLock(size, accepted_seq, asked + (writer_until - now).total_seconds())
