"""Write the log of a run: JSON lines in one stored object that several writers extend (contract 6.4, 13.4).

Object stores cannot append. So a writer locks the log by a database row, and replaces the object by its old content
and the new lines. The row also holds the valid size of the object, so that readers ignore the lines of a writer that
died before it released the lock.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import orjson
import structlog
from sqlalchemy import (
    DateTime,
    String,
    Table,
    Text,
    any_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.api_limits import LOG_BYTES
from app.clients.storage.object_store import LOG_TAGS, ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing, ObjectStoreUnavailable, ObjectTooShort
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.db.statements import Prepared, rows_of
from app.db.sweeping import delete_batch
from app.errors import Unavailable
from app.ids import new_hex_id
from app.models import Run, RunEventId, RunLogState, Task
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_RUN, require_run, visibility
from app.services.retrying.policies import LOG_LOCK, LOG_LOCK_LEASE, LOG_LOCK_PATIENCE
from app.services.retrying.retries import RetryBudget
from app.services.run_log.log_entries import LogEvent

CONTENT_TYPE = "application/jsonl"

# A writer gives up this long before its lock lapses.
_MARGIN_SECONDS = 5
_SLOWEST_COPY = 8 * 1024 * 1024  # bytes a second
_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.1
# Ids are kept for this long after the end of the run.
_IDS_LIFETIME = timedelta(days=1)
# The runs whose ids one batch deletes.
_RUNS_AT_ONCE = 1000

_NOTE_SIZE = Prepared(
    update(RunLogState).where(RunLogState.run_id == bindparam("run")).values(size=bindparam("known_size"))
)
_MINE = {
    "writer": bindparam("own", type_=String()),
    "writer_until": bindparam("until", type_=DateTime(timezone=True)),
}
_COPYING = func.make_interval(0, 0, 0, 0, 0, 0, func.coalesce(RunLogState.size, 0) / float(_SLOWEST_COPY))

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class NewLogEvents:
    """The part of the stream events of one request that the run does not have yet."""

    published: list[Mapping[str, object]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    ids: dict[str, bool] = field(default_factory=dict)


async def note_ids(session: AsyncSession, run_id: UUID, ids: Mapping[str, bool]) -> None:
    """Store the `event_id`s of a run's events, each with whether the log has the event; a stored True stays."""
    if not ids:
        return
    rows = [{"run_id": run_id, "event_id": id_, "kept": is_logged} for id_, is_logged in ids.items()]
    statement = upsert(RunEventId)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[RunEventId.run_id, RunEventId.event_id],
            set_={"kept": or_(RunEventId.kept, statement.excluded.kept)},
        ),
        rows,
    )


async def sweep_event_ids(session: AsyncSession) -> int:
    """Delete a batch of stored event ids of runs that ended at least a day ago; return the number of deleted ids."""
    # From each run to the next by one look at the key: a run may have very many ids.
    by_run = select(RunEventId.run_id).order_by(RunEventId.run_id).limit(1)
    noted = by_run.cte(recursive=True)
    following = by_run.where(RunEventId.run_id > noted.c.run_id).scalar_subquery()
    noted = noted.union_all(select(following).where(noted.c.run_id.is_not(None)))
    # Looked up for each run: for a join the planner would read all runs.
    ended_at = select(Run.completed_at).where(Run.id == noted.c.run_id).scalar_subquery()
    ended = select(noted.c.run_id).where(ended_at <= utcnow() - _IDS_LIFETIME).limit(_RUNS_AT_ONCE)
    # A list and no join, so that the ids are found by their key.
    of_ended = RunEventId.run_id == any_(func.array(ended.scalar_subquery()))
    return await delete_batch(session, RunEventId, of_ended)


def _take_statement(insert_run: Insert) -> Prepared[tuple[int, int, datetime]]:
    return Prepared(
        insert_run.on_conflict_do_update(
            index_elements=[RunLogState.run_id],
            set_=_MINE | {"writer_until": _MINE["writer_until"] + _COPYING},
            where=or_(RunLogState.writer_until.is_(None), RunLogState.writer_until <= bindparam("now")),
        ).returning(RunLogState.size, RunLogState.accepted_seq, RunLogState.writer_until)
    )


_TAKE = _take_statement(upsert(RunLogState).values(run_id=bindparam("run_id"), **_MINE))
# For a caller, who might not see the run: a separate check would be one more round trip that followers wait for.
_TAKE_IF_SEEN = _take_statement(
    # Into the table, not the class: the ORM would treat the values as rows to insert.
    upsert(cast("Table", RunLogState.__table__)).from_select(
        ["run_id", *_MINE],
        select(Run.id, *_MINE.values()).join(Task, Task.id == Run.task_id).where(VISIBLE_RUN),
    )
)
# The column `writer` keeps its value, so that a holder that did not receive the answer can release the lock again,
# unless another writer has taken it.
_RELEASE = Prepared(
    update(RunLogState)
    .where(RunLogState.run_id == bindparam("run"), RunLogState.writer == bindparam("own"))
    .values(
        size=bindparam("new_size"),
        accepted_seq=bindparam("new_accepted_seq"),
        writer_until=None,
        # If the agent has used `event_stream`, writing to the log in another way is a sign of life too.
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
    # Whether the store may still replace the object for the holder. If so at the end, the lock is left to lapse.
    is_writing: bool = False
    # The ids of accepted events, and whether the log has the event.
    event_ids: Mapping[str, bool] = field(default_factory=dict)


@asynccontextmanager
async def hold_lock(
    sessions: SessionFactory, ref: RunRef, caller: Principal | None
) -> AsyncGenerator[LogLock, None]:
    """Wait for the lock of a run's log and yield it; after the block, store the values of the lock and release it.

    If the lock cannot be released, it expires by itself. Readers ignore lines beyond the stored size of the log, and
    the next writer overwrites them. If the block fails while `is_writing` is set, the lock is not released: the store
    may still replace the object, and another writer's lines would be lost. If `caller` is None, visibility is not
    checked. Raises DatabaseUnavailable, Unavailable.
    """
    writer = new_hex_id()
    lock = await _wait(sessions, ref, caller, writer)
    try:
        yield lock
    finally:
        if not lock.is_writing:
            await _release(sessions, ref, lock, writer)


async def _release(sessions: SessionFactory, ref: RunRef, lock: LogLock, writer: str) -> None:
    # Retried, since a try may have been committed although its answer was lost.
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
        async with asyncio.timeout(LOG_LOCK_PATIENCE.total_seconds()):
            while (lock := await _try(sessions, ref, caller, writer)) is None:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
    except TimeoutError:
        raise Unavailable("The log of this run is busy. Please try again in a moment.") from None
    return lock


async def _try(
    sessions: SessionFactory, ref: RunRef, caller: Principal | None, writer: str
) -> LogLock | None:
    began, now = asyncio.get_running_loop().time(), utcnow()
    values = {"run_id": ref.run_id, "own": writer, "until": now + LOG_LOCK_LEASE, "now": now}
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
    return LogLock(size, accepted_seq, began + (writer_until - now).total_seconds())


async def append_lines(sessions: SessionFactory, store: ObjectStore, ref: RunRef, lines: bytes) -> None:
    """Append whole lines to a run's log: all of them or none. Raises ObjectStoreUnavailable, Unavailable."""
    if not lines:
        return
    async with hold_lock(sessions, ref, None) as lock:
        await _write(sessions, store, ref, lock, lines)


async def append_events(
    sessions: SessionFactory,
    store: ObjectStore,
    ref: RunRef,
    events: Sequence[LogEvent],
    *,
    caller: Principal,
    when_locked: Callable[[Sequence[Mapping[str, object]]], Awaitable[None]],
) -> None:
    """Append stream events to a run's log, all of them or none, except those with an `event_id` that the run has.

    `when_locked` gets the new events before they are stored, when no other writer can put lines before them.
    Raises ObjectStoreUnavailable, Unavailable.
    """
    async with hold_lock(sessions, ref, caller) as lock:
        new = await _select_new(sessions, ref, events)
        await when_locked(new.published)
        await _write(sessions, store, ref, lock, b"".join(new.lines))
        lock.event_ids = new.ids


async def append_numbered(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, numbered: Sequence[tuple[int, LogEvent]]
) -> tuple[int, Sequence[Mapping[str, object]]]:
    """Append numbered events, each once; return the number of the last accepted one, and the events that are new.

    No event after a missing number is accepted. An event without a line is accepted, but not logged. Raises
    ObjectStoreUnavailable, Unavailable.
    """
    async with hold_lock(sessions, ref, None) as lock:
        after = lock.accepted_seq
        following: list[LogEvent] = []
        for number, event in numbered:
            if number == after + 1:
                following.append(event)
                after = number
            elif number > after:
                break
        new = await _select_new(sessions, ref, following)
        await _write(sessions, store, ref, lock, b"".join(new.lines))
        # Stored in the transaction that stores the log's valid size: neither without the other.
        lock.accepted_seq, lock.event_ids = after, new.ids
    return after, new.published


async def _select_new(sessions: SessionFactory, ref: RunRef, events: Sequence[LogEvent]) -> NewLogEvents:
    is_logged_by_id: dict[str, bool] = {}
    if ids := [event.id for event in events if event.id is not None]:
        known = select(RunEventId.event_id, RunEventId.kept).where(
            RunEventId.run_id == ref.run_id, RunEventId.event_id == any_(literal(ids, ARRAY(Text)))
        )
        async with unit_of_work(sessions) as session:
            is_logged_by_id = dict(await rows_of(session, known))
    new = NewLogEvents()
    for event in events:
        # None: the run does not have the event. An event without an id is always new.
        is_logged = is_logged_by_id.get(event.id) if event.id is not None else None
        # A chunk is only published. The whole message follows with the id of its last chunk, and is only logged.
        if is_logged is None:
            new.published.append(event.event)
        if event.line and not is_logged:
            new.lines.append(event.line)
        if event.id is not None and (is_logged is None or (event.line and not is_logged)):
            is_logged_by_id[event.id] = new.ids[event.id] = bool(event.line)
    return new


async def _write(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, lock: LogLock, lines: bytes
) -> None:
    if not lines:
        return
    try:
        async with asyncio.timeout_at(lock.ends_at - _MARGIN_SECONDS):
            if lock.size is None:
                lock.size = await _note_stored_size(sessions, store, ref)
            try:
                await _extend(store, ref, lock, lines)
            except (ObjectMissing, ObjectTooShort) as error:
                # The object expired, was removed, or was replaced by a request that the store finished after its lock
                # had lapsed: the log continues with what is there.
                log.warning("run_log.shortened", run_id=str(ref.run_id), size=lock.size, error=repr(error))
                lock.size = await _note_stored_size(sessions, store, ref)
                await _extend(store, ref, lock, lines)
    except TimeoutError:
        raise ObjectStoreUnavailable(f"could not extend {ref.log_key} in time") from None


def within_limit(size: int, lines: bytes) -> tuple[bytes, int]:
    """Return the lines to append to a log of this size, and the new size; if not all fit, a note, and the full size."""
    if size + len(lines) <= LOG_BYTES:
        return lines, size + len(lines)
    note = orjson.dumps({"type": "truncated", "limit_bytes": LOG_BYTES}) + b"\n"
    return note if size + len(note) <= LOG_BYTES else b"", LOG_BYTES


async def _note_stored_size(sessions: SessionFactory, store: ObjectStore, ref: RunRef) -> int:
    # Stored before the object grows: without a size the whole object is valid, also with the lines of a failed append.
    info = await store.head(ref.log_key)
    size = (info.size or 0) if info else 0
    async with unit_of_work(sessions) as session:
        await _NOTE_SIZE.perform(session, {"run": ref.run_id, "known_size": size})
    return size


async def _extend(store: ObjectStore, ref: RunRef, lock: LogLock, lines: bytes) -> None:
    size = lock.size or 0
    new, new_size = within_limit(size, lines)
    if not new:
        return
    # The store may still be writing if this is cancelled or fails unexpectedly.
    lock.is_writing = True
    try:
        await store.extend(ref.log_key, size, new, content_type=CONTENT_TYPE, tags=LOG_TAGS)
    except ObjectStoreUnavailable as error:
        lock.is_writing = error.may_be_applied
        raise
    except (ObjectMissing, ObjectTooShort):
        lock.is_writing = False
        raise
    lock.size, lock.is_writing = new_size, False
