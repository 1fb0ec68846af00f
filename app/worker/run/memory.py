"""What an agent that goes on from earlier runs is told of them: the end of what was said and done there.

Agents keep a conversation in a home that goes with its run; the log of the run is what stays (contract 9.2).
"""

from collections.abc import Mapping, Sequence
from typing import Any  # JSON
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import ObjectMissing, ObjectStore, RangeNotSatisfiable
from app.models import Run
from app.services.resume_chain import resume_chain
from app.services.storage_keys import RunRef

__all__ = ["Earlier", "earlier_runs", "recall"]

# Of the end of each log.
_READ_BYTES = 512 * 1024
_SAID_CHARACTERS = 2_000
_MEMORY_CHARACTERS = 24_000
_INTRODUCTION = (
    "This task was worked on before, and you go on from there. What was said and done, oldest first, as far as it is "
    "kept (the files of the workspace are what counts):"
)

Earlier = tuple[UUID, str, str | None, str | None]


async def earlier_runs(session: AsyncSession, task_id: UUID, run_id: UUID) -> tuple[Earlier, ...]:
    """Return id, status, error and first message of the runs that a run goes on from, oldest first."""
    chain = resume_chain(task_id, run_id, Run.id, Run.status, Run.error_message, Run.state)
    message = chain.c.state["pending_user_message"].astext
    rows = await session.execute(
        select(chain.c.id, chain.c.status, chain.c.error_message, message)
        .where(chain.c.id != run_id)
        .order_by(chain.c.depth.desc())
    )
    found = {row[0]: (row[0], str(row[1]), row[2], row[3]) for row in rows}
    return tuple(found.values())


async def recall(
    store: ObjectStore, earlier: Sequence[Earlier], *, project_id: int, task_id: UUID
) -> str | None:
    """Return what to tell the agent; None if there is nothing.

    Raises:
        ObjectStoreUnavailable: the store did not answer.

    """
    told: list[str | None] = []
    for run_id, status, error, message in earlier:
        told.append(_line("Person", message))
        told += [
            _told_by(entry) for entry in await _end_of(store, RunRef(project_id, task_id, run_id).log_key)
        ]
        told.append(_line("The run", f"{status}. {error}" if error else f"{status}."))
    kept: list[str] = []
    room = _MEMORY_CHARACTERS
    for line in reversed([line for line in told if line is not None]):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([_INTRODUCTION, *reversed(kept)]) if kept else None


async def _end_of(store: ObjectStore, key: str) -> list[Any]:
    """Return the last entries of a log."""
    content = b""
    try:
        async with store.open(key, byte_range=f"bytes=-{_READ_BYTES}") as part:
            async for piece in part.chunks:
                content += piece
    except (ObjectMissing, RangeNotSatisfiable):
        return []
    lines = content.split(b"\n")
    # The first one may be cut off.
    return [_parsed(line) for line in (lines if len(content) < _READ_BYTES else lines[1:])]


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _told_by(entry: Any) -> str | None:
    """Return what an entry tells in one line; None for what is not worth one. Clients write to logs too."""
    params = _at(entry, "notification", "params")
    update = _at(params, "update")
    kind = _at(update, "sessionUpdate")
    if kind == "agent_message":
        return _line("Agent", _at(update, "content", "text"))
    if kind in {"user_message_chunk", "user_message"}:
        return _line("Person", _at(update, "content", "text"))
    if kind == "tool_call":
        return _line("Agent's tool", _at(update, "title"))
    return None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _line(who: str, text: Any) -> str | None:
    if not isinstance(text, str) or not text.strip():
        return None
    words = text.strip()
    return f"{who}: {words[:_SAID_CHARACTERS]}{' …' if len(words) > _SAID_CHARACTERS else ''}"
