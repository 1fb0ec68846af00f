"""A summary of earlier runs for an agent that resumes them: the end of each conversation.

The agent's home is removed with its run; the log of the run stays (contract 9.2).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple  # Any: JSON
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import ObjectMissing, ObjectStore, RangeNotSatisfiable
from app.models import Run
from app.services.output.log_writer import LogRef
from app.services.resume_chain import resume_chain

__all__ = ["EarlierRun", "earlier_runs", "recall"]

# Of the end of each log.
_READ_BYTES = 512 * 1024
_SAID_CHARACTERS = 2_000
_MEMORY_CHARACTERS = 24_000
_INTRODUCTION = (
    "This task was worked on before, and you go on from there. What was said and done, oldest first, as far as it is "
    "kept (the files of the workspace are what counts):"
)


class EarlierRun(NamedTuple):
    """A run that another one resumes."""

    id: UUID
    status: str
    error_message: str | None
    message: str | None  # the first of its person


async def earlier_runs(session: AsyncSession, task_id: UUID, run_id: UUID) -> tuple[EarlierRun, ...]:
    """Return the runs that a run resumes, oldest first."""
    chain = resume_chain(task_id, run_id, Run.id, Run.status, Run.error_message, Run.state)
    message = chain.c.state["pending_user_message"].astext
    rows = await session.execute(
        select(chain.c.id, chain.c.status, chain.c.error_message, message)
        .where(chain.c.id != run_id)
        .order_by(chain.c.depth.desc())
    )
    found = {row[0]: EarlierRun(row[0], str(row[1]), row[2], row[3]) for row in rows}
    return tuple(found.values())


async def recall(
    store: ObjectStore, earlier: Sequence[EarlierRun], *, project_id: int, task_id: UUID
) -> str | None:
    """Return the summary for the agent; None if there is nothing to say.

    Raises:
        ObjectStoreUnavailable: the store did not answer.

    """
    lines: list[str | None] = []
    for run_id, status, error, message in earlier:
        lines.append(_line("Person", message))
        lines += [
            _summary_of(entry) for entry in await _end_of(store, LogRef(project_id, task_id, run_id).key)
        ]
        lines.append(_line("The run", f"{status}. {error}" if error else f"{status}."))
    kept: list[str] = []
    room = _MEMORY_CHARACTERS
    for line in reversed([line for line in lines if line is not None]):
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


def _summary_of(entry: Any) -> str | None:
    """Return an entry in one line; None if it is not worth one. Clients write to logs too."""
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
