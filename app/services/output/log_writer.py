"""Writes a run's log: JSON lines in one object, which the run's worker and clients extend (contract 6.4, 13.4).

Object stores cannot append. Writers therefore take turns, by a row, at replacing the object with itself and what is
new; the row also says how much of the object counts, so that a writer which died half-way leaves nothing behind.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import bindparam, update

from app.clients.object_store import LOG_TAGS, ObjectMissing, ObjectStore, ObjectStoreUnavailable
from app.db import SessionFactory, unit_of_work
from app.models import RunLogState
from app.services.access.principal import Principal
from app.services.output.event_ids import LogEvent, NewEvents, carries_ids, select_new
from app.services.output.turns import Turn, take_turn
from app.services.storage_keys import RunRef
from app.statements import Prepared

CONTENT_TYPE = "application/jsonl"
MAX_LOG_BYTES = 200 * 1024 * 1024

# A writer gives up that long before the end of its turn.
_MARGIN_SECONDS = 5
_NOTE_SIZE = Prepared(
    update(RunLogState).where(RunLogState.run_id == bindparam("run")).values(size=bindparam("known_size"))
)


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
        ref: the run of the log.
        lines: what to add.
        caller: who asks; None for the service itself, which writes to any log.

    Raises:
        NotFound: the caller does not see the run.
        ObjectStoreUnavailable: the store did not answer; nothing was added.
        Unavailable: others kept the log busy; nothing was added.

    """
    if not lines:
        return
    async with take_turn(sessions, ref, caller) as turn:
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
    async with take_turn(sessions, ref, caller) as turn:
        new = await _select_new(sessions, ref, events)
        await at_turn(new.published)
        await _write(sessions, store, ref, turn, b"".join(new.lines))
        turn.event_ids = new.ids


async def append_numbered(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, numbered: Sequence[tuple[int, LogEvent]]
) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """Add the lines of numbered events to the end of a log, each event once, also if other requests send the same ones.

    Events that were taken before are passed over, by their number or their `event_id`; those behind a missing number
    are left. An event without a line counts too. Returns the number that was taken last, and the events that are new.

    Raises:
        ObjectStoreUnavailable, Unavailable: as `append_lines`.

    """
    async with take_turn(sessions, ref, None) as turn:
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


async def _write(sessions: SessionFactory, store: ObjectStore, ref: RunRef, turn: Turn, lines: bytes) -> None:
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
        # It expired, or was removed: the log continues with what is new.
        await store.put(ref.log_key, lines, content_type=CONTENT_TYPE, tags=LOG_TAGS)
        return len(lines)
    return size + len(lines)
