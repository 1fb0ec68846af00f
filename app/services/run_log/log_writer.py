"""Write the log of a run: JSON lines in one stored object that several writers extend (contract 6.4, 13.4).

Object stores cannot append. So a writer locks the log by a database row, and replaces the object by its old content
with the new lines. The row also holds the valid size of the object, so that readers ignore the lines of a writer that
died half-way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
import structlog
from sqlalchemy import bindparam, update

from app.clients.object_store import (
    LOG_TAGS,
    ObjectMissing,
    ObjectStore,
    ObjectStoreUnavailable,
    ObjectTooShort,
)
from app.db import SessionFactory, unit_of_work
from app.models import RunLogState
from app.services.access.principal import Principal
from app.services.run_log.event_ids import LogEvent, NewEvents, carries_ids, select_new
from app.services.run_log.log_lock import LogLock, hold_lock
from app.services.storage_keys import RunRef
from app.statements import Prepared

CONTENT_TYPE = "application/jsonl"
MAX_LOG_BYTES = 200 * 1024 * 1024

# A writer gives up this long before its lock lapses.
_MARGIN_SECONDS = 5
_NOTE_SIZE = Prepared(
    update(RunLogState).where(RunLogState.run_id == bindparam("run")).values(size=bindparam("known_size"))
)

log = structlog.get_logger(__name__)


def with_line(entry: Mapping[str, Any]) -> LogEvent:
    """Return an entry as a `LogEvent`, with its line for the run's log."""
    return LogEvent(entry, b"" if is_chunk(entry) else orjson.dumps(entry) + b"\n")


def encode_entries(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Encode log entries as JSON lines, without the parts of messages that are being streamed (contract 13.4)."""
    return b"".join(orjson.dumps(entry) + b"\n" for entry in entries if not is_chunk(entry))


def is_chunk(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry is a part of an agent message that is being streamed (contract 13.4)."""
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
    """Append whole lines to a run's log: all of them or none.

    Lines that would exceed the maximum size of a log are replaced by one line that says so. The function waits for the
    log's lock. It holds no database connection while it waits or while the object store works. Raises
    ObjectStoreUnavailable, Unavailable.
    """
    if not lines:
        return
    async with hold_lock(sessions, ref, caller) as lock:
        await _write(sessions, store, ref, lock, lines)


async def append_events(
    sessions: SessionFactory,
    store: ObjectStore,
    ref: RunRef,
    events: Sequence[LogEvent],
    *,
    caller: Principal,
    when_locked: Callable[[Sequence[Mapping[str, Any]]], Awaitable[None]],
) -> None:
    """Append stream events to a run's log, all of them or none.

    Events with an `event_id` that the log already has are skipped. The function waits for the log's lock. It then calls
    `when_locked` with the new events before it stores them, so that no other writer can insert lines before them. Lines
    that would exceed the maximum size of a log are replaced by one line that says so. Raises ObjectStoreUnavailable,
    Unavailable.
    """
    async with hold_lock(sessions, ref, caller) as lock:
        new = await _select_new(sessions, ref, events)
        await when_locked(new.published)
        await _write(sessions, store, ref, lock, b"".join(new.lines))
        lock.event_ids = new.ids


async def append_numbered(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, numbered: Sequence[tuple[int, LogEvent]]
) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """Append numbered stream events to a run's log, each once, even if other requests send the same events.

    Return the number of the last accepted event, and the events that are new to the run. Events that were accepted
    before, by their number or their `event_id`, are skipped. If a number is missing, the events after it are not
    accepted. An event without a line is accepted, but does not appear in the log. Raises ObjectStoreUnavailable,
    Unavailable.
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


async def _select_new(sessions: SessionFactory, ref: RunRef, events: Sequence[LogEvent]) -> NewEvents:
    if not carries_ids(events):
        return NewEvents([event.event for event in events], [event.line for event in events])
    async with unit_of_work(sessions) as session:
        return await select_new(session, ref.run_id, events)


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


def _within_limit(size: int, lines: bytes) -> bytes:
    if size + len(lines) <= MAX_LOG_BYTES:
        return lines
    note = orjson.dumps({"type": "truncated", "limit_bytes": MAX_LOG_BYTES}) + b"\n"
    return note if size + len(note) <= MAX_LOG_BYTES else b""


async def _note_stored_size(sessions: SessionFactory, store: ObjectStore, ref: RunRef) -> int:
    """Record the size of the stored object as valid, and return it.

    Done before the object grows: else the new lines would count even if the append is refused.
    """
    info = await store.head(ref.log_key)
    size = (info.size or 0) if info else 0
    async with unit_of_work(sessions) as session:
        await _NOTE_SIZE.perform(session, {"run": ref.run_id, "known_size": size})
    return size


async def _extend(store: ObjectStore, ref: RunRef, lock: LogLock, lines: bytes) -> None:
    size = lock.size or 0
    new = _within_limit(size, lines)
    if not new:
        return
    # Also if this is cancelled or fails unexpectedly.
    lock.is_writing = True
    try:
        await store.extend(ref.log_key, size, new, content_type=CONTENT_TYPE, tags=LOG_TAGS)
    except ObjectStoreUnavailable as error:
        lock.is_writing = error.may_be_applied
        raise
    except (ObjectMissing, ObjectTooShort):
        lock.is_writing = False
        raise
    lock.size, lock.is_writing = size + len(new), False
