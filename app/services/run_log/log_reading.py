"""Read a run's log, whole or in pages (contract 6.4, 13.4).

Only the valid size of each log is read. No log is ever held in memory as a whole.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.api_limits import LARGE_RESPONSE_WAIT_SECONDS
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing, RangeNotSatisfiable
from app.clients.storage.storage_keys import RunRef
from app.db import release
from app.db.statements import rows_of
from app.errors import Unavailable
from app.json_types import JsonDict
from app.models import Run, RunLogState
from app.schemas.fields import parse_timestamp
from app.schemas.runs.logs import LogQuery
from app.services.access.principal import Principal
from app.services.access.visibility import require_run
from app.services.resume_chain import resume_chain

# A page ends with the entry that exceeds this size, however few entries it has.
_PAGE_BYTES = 16 * 1024 * 1024
# The distance in a log between two known places from which the search for a page can begin.
_STEP_BYTES = 1024 * 1024
_MOST_KNOWN = 32
_MOST_READING = 4


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


class _StoredLog(NamedTuple):
    """The key of a stored log, and its valid size in bytes; None: the whole object."""

    key: str
    size: int | None

    def byte_range(self, start: int) -> str | None:
        if self.size is None:
            return f"bytes={start}-" if start else None
        return f"bytes={start}-{self.size - 1}"


class _Place(NamedTuple):
    """Where a line begins, and how many matching entries precede it."""

    matching: int
    log: int
    byte: int


class _Known(NamedTuple):
    total: int
    matching: int
    places: list[_Place]


class LogPages:
    """Known places in the logs that a process has read, so that a later page is not searched from the beginning."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Known] = {}
        self._turns = asyncio.Semaphore(_MOST_READING)

    def find(self, key: Hashable) -> _Known | None:
        if (known := self._known.pop(key, None)) is not None:
            self.keep(key, known)
        return known

    def keep(self, key: Hashable, known: _Known) -> None:
        self._known[key] = known
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]

    @asynccontextmanager
    async def reading(self, size: int) -> AsyncGenerator[None, None]:
        """Wait until fewer than four requests read logs that are larger than a page."""
        if size <= _PAGE_BYTES:
            yield
            return
        try:
            async with asyncio.timeout(LARGE_RESPONSE_WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("Too many large logs are being read. Please try again in a moment.") from None
        try:
            yield
        finally:
            self._turns.release()


async def read_page(
    session: AsyncSession,
    caller: Principal,
    ref: RunRef,
    query: LogQuery,
    *,
    store: ObjectStore,
    pages: LogPages,
) -> LogPage:
    """Return the page of log entries that a query selects, from the log of a run and of the runs that it resumes."""
    logs = await _chain_logs(session, caller, ref.task_id, ref.run_id)
    await release(session)
    # A log only grows at its end: while its size is the same, so is its content.
    key = (tuple(logs), query.after, query.event_types, query.exclude_types)
    async with pages.reading(sum(stored.size or 0 for stored in logs)):
        if (known := pages.find(key)) is None:
            page, places = await _scan(store, logs, query, _Place(0, 0, 0), is_whole=True)
            pages.keep(key, _Known(page.total, page.matching, places))
        else:
            begin = known.places[
                bisect_right(known.places, query.offset, key=lambda place: place.matching) - 1
            ]
            page, _ = await _scan(store, logs, query, begin, is_whole=False)
            page.total, page.matching = known.total, known.matching
    return page


async def _scan(
    store: ObjectStore, logs: Sequence[_StoredLog], query: LogQuery, begin: _Place, *, is_whole: bool
) -> tuple[LogPage, list[_Place]]:
    page, places, matches = LogPage(matching=begin.matching), [begin], _filter_of(query)
    ends_at = query.offset + query.limit
    async with aclosing(_lines(store, logs, begin)) as lines:
        async for log, byte, line in lines:
            if not is_whole and (page.is_full or page.matching >= ends_at):
                break
            if log != places[-1].log or byte - places[-1].byte >= _STEP_BYTES:
                places.append(_Place(page.matching, log, byte))
            entry = parse_entry(line)
            if entry is None:
                continue
            page.total += 1
            if not matches(entry):
                continue
            is_on_page = query.offset <= page.matching < ends_at
            page.matching += 1
            # A full page takes no further entry, not even a small one: the next page begins at its end.
            if is_on_page and not page.is_full:
                page.add(line)
    return page, places


def parse_entry(line: bytes) -> JsonDict | None:
    """Return the entry of a line of a log; None if the line is not a JSON object."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) else None


def _filter_of(query: LogQuery) -> Callable[[Mapping[str, object]], bool]:
    after, wanted, unwanted = query.after, _words(query.event_types), _words(query.exclude_types)

    def matches(entry: Mapping[str, object]) -> bool:
        kind = _kind(entry)
        if (wanted and kind not in wanted) or kind in unwanted:
            return False
        moment = None if after is None else parse_timestamp(entry.get("timestamp"))
        return after is None or (moment is not None and moment > after)

    return matches


def _words(comma_list: str | None) -> frozenset[str]:
    return frozenset(word.strip() for word in (comma_list or "").split(",") if word.strip())


def _kind(entry: Mapping[str, object]) -> object:
    notification_ = entry.get("notification")
    method = notification_.get("method") if isinstance(notification_, Mapping) else None
    kind = entry.get("type") if method is None else method
    return kind if isinstance(kind, str) else None


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
    # If runs resume each other in a cycle, each is read once.
    return list(
        dict.fromkeys(_StoredLog(RunRef(caller.project.id, task_id, id_).log_key, size) for id_, size in rows)
    )


async def _pieces(
    store: ObjectStore, logs: Sequence[_StoredLog], start: int = 0
) -> AsyncGenerator[bytes, None]:
    for stored in logs:
        if stored.size == 0:
            continue
        last = b"\n"
        try:
            async with store.open(stored.key, byte_range=stored.byte_range(start)) as content:
                async for piece in content.chunks:
                    if piece:
                        last = piece[-1:]
                        yield piece
        except (ObjectMissing, RangeNotSatisfiable):
            # The object has expired, or an older and shorter one has replaced it.
            continue
        if last != b"\n":
            yield b"\n"


async def _lines(
    store: ObjectStore, logs: Sequence[_StoredLog], begin: _Place
) -> AsyncGenerator[tuple[int, int, bytes], None]:
    # Yields each line with the index of its log, and the byte at which the line begins there.
    start = begin.byte
    for log in range(begin.log, len(logs)):
        at, rest = start, list[bytes]()
        async with aclosing(_pieces(store, [logs[log]], start)) as pieces:
            async for piece in pieces:
                first, *others = piece.split(b"\n")
                rest.append(first)
                for other in others:
                    text = b"".join(rest)
                    if line := text.strip():
                        yield log, at, line
                    at += len(text) + 1
                    rest = [other]
        start = 0
