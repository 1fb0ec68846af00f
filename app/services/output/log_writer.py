"""Writes a run's log: JSON lines in one object, which the run's worker and clients extend (contract 6.4, 13.4).

Object stores cannot append. Writers therefore take turns, by a row, at replacing the object with itself and what is
new; the row also says how much of the object counts, so that a writer which died half-way leaves nothing behind.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import orjson
import structlog
from sqlalchemy import DateTime, String, Table, bindparam, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert

from app.clients.object_store import LOG_TAGS, ObjectMissing, ObjectStore, ObjectStoreUnavailable
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.errors import Unavailable
from app.ids import new_hex_id
from app.models import Run, RunLogState, Task
from app.services.access.visibility import VISIBLE_RUN, Principal, require_run, visibility
from app.services.output.event_ids import LogEvent, NewEvents, carries_ids, note_ids, select_new
from app.services.retries import LOG_TURN, RetryBudget
from app.services.storage_keys import RunRef
from app.statements import Prepared

__all__ = [
    "CONTENT_TYPE",
    "MAX_LOG_BYTES",
    "append_events",
    "append_lines",
    "append_numbered",
    "encode_entries",
    "is_chunk",
    "log_event",
]

CONTENT_TYPE = "application/jsonl"
MAX_LOG_BYTES = 200 * 1024 * 1024

# How long a turn lasts: at least this, and longer where the store has much to copy. Its writer gives up well before its
# end, so that no two ever write. A turn of an ordinary log that was lost (its writer died, or the database was away when
# it was to be given back) lapses before others give up waiting for theirs.
_TURN = timedelta(seconds=15)
_SLOWEST_COPY = 8 * 1024 * 1024  # bytes a second
_MARGIN_SECONDS = 5
_WAIT_SECONDS = 20
_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.1

_MINE = {
    "writer": bindparam("own", type_=String()),
    "writer_until": bindparam("until", type_=DateTime(timezone=True)),
}
_COPYING = func.make_interval(0, 0, 0, 0, 0, 0, func.coalesce(RunLogState.size, 0) / float(_SLOWEST_COPY))


def _taking(whose: Insert) -> Prepared:
    """Return the statement that takes the turn of the run that `whose` would insert, unless somebody has it."""
    return Prepared(
        whose.on_conflict_do_update(
            index_elements=[RunLogState.run_id],
            set_=_MINE | {"writer_until": _MINE["writer_until"] + _COPYING},
            where=or_(RunLogState.writer_until.is_(None), RunLogState.writer_until <= bindparam("now")),
        ).returning(RunLogState.size, RunLogState.accepted_seq, RunLogState.writer_until)
    )


_TAKE = _taking(upsert(RunLogState).values(run_id=bindparam("run_id"), **_MINE))
# For those who may not see the run: whether they do is asked on the way, since followers wait for it.
_TAKE_IF_SEEN = _taking(
    # Into the table, not the class: the ORM would take the values of a transaction for rows to insert.
    upsert(cast("Table", RunLogState.__table__)).from_select(
        ["run_id", *_MINE],
        select(Run.id, *_MINE.values()).join(Task, Task.id == Run.task_id).where(VISIBLE_RUN),
    )
)
_NOTE_SIZE = Prepared(
    update(RunLogState).where(RunLogState.run_id == bindparam("run")).values(size=bindparam("known_size"))
)
# The writer stays: one that did not hear the answer gives back again, as long as nobody has taken the turn.
_GIVE_BACK = Prepared(
    update(RunLogState)
    .where(RunLogState.run_id == bindparam("run"), RunLogState.writer == bindparam("own"))
    .values(
        size=bindparam("new_size"),
        accepted_seq=bindparam("new_accepted_seq"),
        writer_until=None,
        # An agent that has used `event_stream` may write to the log by other ways too.
        heard_at=case((RunLogState.heard_at.is_not(None), bindparam("now", type_=DateTime(timezone=True)))),
    )
    .returning(RunLogState.run_id)
)

log = structlog.get_logger(__name__)


def log_event(entry: Mapping[str, Any]) -> LogEvent:
    """Return a log entry with its line; none for a chunk of a message that follows whole."""
    return LogEvent(entry, b"" if is_chunk(entry) else orjson.dumps(entry) + b"\n")


def encode_entries(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Return entries as lines; chunks of a message that follows whole are left out (contract 13.4)."""
    return b"".join(orjson.dumps(entry) + b"\n" for entry in entries if not is_chunk(entry))


def is_chunk(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry is a piece of a message: followed live, and left out of the log (contract 13.4)."""
    notification = entry.get("notification")
    if not isinstance(notification, Mapping) or notification.get("method") != "session/update":
        return False
    parameters = notification.get("params")
    update_ = parameters.get("update") if isinstance(parameters, Mapping) else None
    return isinstance(update_, Mapping) and update_.get("sessionUpdate") == "agent_message_chunk"


async def append_lines(
    sessions: SessionFactory,
    store: ObjectStore,
    ref: RunRef,
    lines: bytes,
    *,
    caller: Principal | None = None,
) -> None:
    """Add whole lines to the end of a log, all of them or none; what no log holds is replaced by a note of that.

    Waits for its turn; no connection is held meanwhile, nor while the store works.

    Args:
        sessions: where the row of the turn is written.
        store: where the log is kept.
        ref: whose log is meant.
        lines: what to add.
        caller: who asks; None for the service itself, which writes to any log.

    Raises:
        NotFound: the caller does not see the run.
        ObjectStoreUnavailable: the store did not answer; nothing was added.
        Unavailable: others kept the log busy; nothing was added.

    """
    if not lines:
        return
    async with _turn(sessions, ref, caller) as turn:
        await _write(sessions, store, ref, turn, lines)


async def append_events(
    sessions: SessionFactory,
    store: ObjectStore,
    ref: RunRef,
    events: Sequence[LogEvent],
    *,
    caller: Principal,
    at_turn: Callable[[Sequence[Mapping[str, Any]]], Awaitable[None]],
) -> None:
    """Do as `append_lines`, and leave out what the run has by the same `event_id`.

    `at_turn` gets what is new once that has its place in the log, before the store is asked to keep it.

    Raises:
        NotFound, ObjectStoreUnavailable, Unavailable: as `append_lines`.

    """
    async with _turn(sessions, ref, caller) as turn:
        new = await _select_new(sessions, ref, events)
        await at_turn(new.published)
        await _write(sessions, store, ref, turn, b"".join(new.lines))
        turn.event_ids = new.ids


async def append_numbered(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, numbered: Sequence[tuple[int, LogEvent]]
) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """Add the lines of numbered events to the end of a log, each event once, whoever else sends the same ones.

    Events that were taken before are passed over, by their number or their `event_id`; those behind a missing number
    are left. An event without a line counts too. Returns the number that was taken last, and the events that are new.

    Raises:
        ObjectStoreUnavailable, Unavailable: as `append_lines`.

    """
    async with _turn(sessions, ref, None) as turn:
        after = turn.accepted_seq
        following: list[LogEvent] = []
        for number, event in numbered:
            if number == after + 1:
                following.append(event)
                after = number
            elif number > after:
                break
        new = await _select_new(sessions, ref, following)
        await _write(sessions, store, ref, turn, b"".join(new.lines))
        # Noted in the transaction that says how much of the log counts: neither without the other.
        turn.accepted_seq, turn.event_ids = after, new.ids
    return after, new.published


async def _select_new(sessions: SessionFactory, ref: RunRef, events: Sequence[LogEvent]) -> NewEvents:
    if not carries_ids(events):
        return NewEvents([event.event for event in events], [event.line for event in events])
    async with unit_of_work(sessions) as session:
        return await select_new(session, ref.run_id, events)


async def _write(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, turn: "_Turn", lines: bytes
) -> None:
    if not lines:
        return
    try:
        async with asyncio.timeout_at(turn.ends_at - _MARGIN_SECONDS):
            if turn.size is None:
                turn.size = await _stored_size(store, ref)
                # Before the object grows: else what comes now would count even if it is refused.
                async with unit_of_work(sessions) as session:
                    await _NOTE_SIZE.perform(session, {"run": ref.run_id, "known_size": turn.size})
            turn.size = await _extend(store, ref, turn.size, _within_limit(turn.size, lines))
    except TimeoutError:
        raise ObjectStoreUnavailable(f"could not extend {ref.log_key} in time") from None


def _within_limit(size: int, lines: bytes) -> bytes:
    if size + len(lines) <= MAX_LOG_BYTES:
        return lines
    note = orjson.dumps({"type": "truncated", "limit_bytes": MAX_LOG_BYTES}) + b"\n"
    return note if size + len(note) <= MAX_LOG_BYTES else b""


async def _stored_size(store: ObjectStore, ref: RunRef) -> int:
    info = await store.head(ref.log_key)
    return (info.size or 0) if info else 0


async def _extend(store: ObjectStore, ref: RunRef, size: int, lines: bytes) -> int:
    if not lines:
        return size
    try:
        await store.extend(ref.log_key, size, lines, content_type=CONTENT_TYPE, tags=LOG_TAGS)
    except ObjectMissing:
        # Its life is over, or somebody removed it: the log goes on with what is new.
        await store.put(ref.log_key, lines, content_type=CONTENT_TYPE, tags=LOG_TAGS)
        return len(lines)
    return size + len(lines)


@dataclass(slots=True)
class _Turn:
    """The right to write, and what the row shall say when it is given back."""

    # What counts of the object; None if nobody noted it yet.
    size: int | None
    accepted_seq: int
    # By the clock of the event loop.
    ends_at: float
    # The ids of the events that were taken, and whether the log has them.
    event_ids: Mapping[str, bool] = field(default_factory=dict)


@asynccontextmanager
async def _turn(
    sessions: SessionFactory, ref: RunRef, caller: Principal | None
) -> AsyncGenerator[_Turn, None]:
    """Wait for the turn and give it back, with the size that it left.

    A turn that cannot be given back lapses; what it wrote and could not note does not count, and is cut off by the next.

    Raises:
        DatabaseUnavailable: the turn could not be had, or not be given back: nothing was added.
        NotFound, Unavailable: as `append_lines`.

    """
    writer = new_hex_id()
    turn = await _wait_for_turn(sessions, ref, caller, writer)
    try:
        yield turn
    finally:
        await _give_back(sessions, ref, turn, writer)


async def _give_back(sessions: SessionFactory, ref: RunRef, turn: _Turn, writer: str) -> None:
    """Say how much of the log counts now, and let the next writer write.

    Repeated while the database is away: one try may have been committed without an answer, and what the caller is told
    must be what counts.
    """
    values = {
        "run": ref.run_id,
        "own": writer,
        "new_size": turn.size,
        "new_accepted_seq": turn.accepted_seq,
        "now": utcnow(),
    }

    async def give_back() -> bool:
        async with unit_of_work(sessions) as session:
            if not turn.event_ids:
                return await _GIVE_BACK.first_alone(session, values) is not None
            # Committed with the ids: neither without the other.
            is_given = await _GIVE_BACK.first(session, values) is not None
            if is_given:
                await note_ids(session, ref.run_id, turn.event_ids)
            return is_given

    is_given = await RetryBudget(LOG_TURN).call(give_back)
    if not is_given and asyncio.get_running_loop().time() >= turn.ends_at:
        # It lapsed, and others went on from what counted before.
        raise Unavailable("The log of this run is busy. Please try again in a moment.")


async def _wait_for_turn(
    sessions: SessionFactory, ref: RunRef, caller: Principal | None, writer: str
) -> _Turn:
    pause = _FIRST_PAUSE_SECONDS
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            while (turn := await _take_turn(sessions, ref, caller, writer)) is None:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
    except TimeoutError:
        raise Unavailable("The log of this run is busy. Please try again in a moment.") from None
    return turn


async def _take_turn(
    sessions: SessionFactory, ref: RunRef, caller: Principal | None, writer: str
) -> _Turn | None:
    asked, now = asyncio.get_running_loop().time(), utcnow()
    values: dict[str, Any] = {"run_id": ref.run_id, "own": writer, "until": now + _TURN, "now": now}
    if caller is not None:
        values |= {"task_id": ref.task_id, **visibility(caller)}
    async with unit_of_work(sessions) as session:
        row = await (_TAKE if caller is None else _TAKE_IF_SEEN).first(session, values)
        if row is None and caller is not None:
            # Somebody has the turn, or there is nothing to be seen.
            await require_run(session, caller, ref.task_id, ref.run_id)
    if row is None:
        return None
    return _Turn(row["size"], row["accepted_seq"], asked + (row["writer_until"] - now).total_seconds())
