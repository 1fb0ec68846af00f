"""Read a run's log, whole or in pages (contract 6.4, 13.4).

Only the valid size of each log is read. No log is ever held in memory as a whole.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import ObjectStore
from app.clients.s3 import ObjectMissing
from app.db import release
from app.models import Run, RunLogState
from app.schemas.fields import parse_timestamp
from app.schemas.runs.logs import LogQuery
from app.services.access.principal import Principal
from app.services.access.visibility import require_run
from app.services.resume_chain import resume_chain
from app.services.storage_keys import RunRef
from app.statements import rows_of

# Bytes after which a page ends, however few entries it has; the entry that exceeds it is included.
_PAGE_BYTES = 16 * 1024 * 1024


async def read_text(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, store: ObjectStore
) -> AsyncGenerator[bytes, None]:
    """Return an iterator over the whole log of a run, as bytes of JSON lines. A line may be split between two pieces.

    The logs of the runs that it resumes come first, oldest first. The first piece is read before the function returns,
    so that the function itself raises these errors. Raises ObjectStoreUnavailable.
    """
    logs = await _chain_logs(session, caller, task_id, run_id)
    await release(session)
    pieces = _pieces(store, logs)
    first = await anext(pieces, b"")

    async def text() -> AsyncGenerator[bytes, None]:
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    return text()


@dataclass(slots=True)
class LogPage:
    """One page of log entries, each a line of JSON as it is stored."""

    total: int = 0
    matching: int = 0
    entries: list[bytes] = field(default_factory=list)
    _bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Whether the page has reached its maximum size in bytes, so that no further entry is added."""
        return self._bytes >= _PAGE_BYTES

    @property
    def body(self) -> bytes:
        return b"[" + b",".join(self.entries) + b"]"

    def add(self, line: bytes) -> None:
        self.entries.append(line)
        self._bytes += len(line)


async def read_page(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    query: LogQuery,
    *,
    store: ObjectStore,
) -> LogPage:
    """Return the page of log entries that a query selects, from the log of a run and of the runs that it resumes."""
    logs = await _chain_logs(session, caller, task_id, run_id)
    await release(session)
    page, matches = LogPage(), _Filter(query)
    async with aclosing(_lines(store, logs)) as lines:
        async for line in lines:
            entry = _parse(line)
            if entry is None:
                continue
            page.total += 1
            if not matches(entry):
                continue
            is_on_page = query.offset <= page.matching < query.offset + query.limit
            page.matching += 1
            # A full page takes no further entry, also no small one: the next page begins at its end.
            if is_on_page and not page.is_full:
                page.add(line)
    return page


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) else None


class _Filter:
    """The filter of a query over log entries, by type and time."""

    def __init__(self, query: LogQuery) -> None:
        self._after = query.after
        self._wanted = _words(query.event_types)
        self._unwanted = _words(query.exclude_types)

    def __call__(self, entry: Mapping[str, Any]) -> bool:
        kind = _kind(entry)
        if (self._wanted and kind not in self._wanted) or kind in self._unwanted:
            return False
        if self._after is None:
            return True
        moment = parse_timestamp(entry.get("timestamp"))
        return moment is not None and moment > self._after


def _words(comma_list: str | None) -> frozenset[str]:
    return frozenset(word.strip() for word in (comma_list or "").split(",") if word.strip())


def _kind(entry: Mapping[str, Any]) -> object:
    notification_ = entry.get("notification")
    method = notification_.get("method") if isinstance(notification_, Mapping) else None
    kind = entry.get("type") if method is None else method
    return kind if isinstance(kind, str) else None


class _StoredLog(NamedTuple):
    """The key of a stored log, and its valid size in bytes; None: the whole object."""

    key: str
    size: int | None

    @property
    def byte_range(self) -> str | None:
        return None if self.size is None else f"bytes=0-{self.size - 1}"


async def _chain_logs(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID
) -> list[_StoredLog]:
    await require_run(session, caller, task_id, run_id)
    chain = resume_chain(task_id, run_id, Run.id)
    sizes = (
        select(chain.c.id, RunLogState.size)
        .outerjoin(RunLogState, RunLogState.run_id == chain.c.id)
        .order_by(chain.c.depth.desc())
    )
    rows = await rows_of(session, sizes)
    # A run in a circle of resumed runs is read once.
    return list(
        dict.fromkeys(_StoredLog(RunRef(caller.project.id, task_id, id_).log_key, size) for id_, size in rows)
    )


async def _pieces(store: ObjectStore, logs: Sequence[_StoredLog]) -> AsyncGenerator[bytes, None]:
    for stored in logs:
        if stored.size == 0:
            continue
        last = b"\n"
        try:
            async with store.open(stored.key, byte_range=stored.byte_range) as content:
                async for piece in content.chunks:
                    if piece:
                        last = piece[-1:]
                        yield piece
        except ObjectMissing:
            continue
        if last != b"\n":
            yield b"\n"


async def _lines(store: ObjectStore, logs: Sequence[_StoredLog]) -> AsyncGenerator[bytes, None]:
    rest: list[bytes] = []
    async with aclosing(_pieces(store, logs)) as pieces:
        async for piece in pieces:
            first, *others = piece.split(b"\n")
            rest.append(first)
            for other in others:
                if line := b"".join(rest).strip():
                    yield line
                rest = [other]
    if line := b"".join(rest).strip():
        yield line
