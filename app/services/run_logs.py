"""A run's log: JSON lines in one object, written while the run goes on (contract 6.4, 13.4).

Object stores cannot append, so the log grows in a local file that is put whole from time to time: soon while it is
small, less often as it grows, and once more at the end.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import orjson
import structlog

from app.clients.object_store import LOG_TAGS, ObjectStore, ObjectStoreUnavailable

__all__ = ["RunLog", "is_dropped", "open_log"]

CONTENT_TYPE = "application/jsonl"

_FIRST_PAUSE_SECONDS = 0.5
# One more second between two puts for each of these many bytes.
_BYTES_PER_SECOND = 4 * 1024 * 1024
_MAX_BYTES = 200 * 1024 * 1024
_FINAL_TRIES = 4

log = structlog.get_logger(__name__)


def is_dropped(entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry is a chunk of a message that follows whole (contract 13.4)."""
    notification = entry.get("notification")
    if not isinstance(notification, Mapping) or notification.get("method") != "session/update":
        return False
    parameters = notification.get("params")
    update = parameters.get("update") if isinstance(parameters, Mapping) else None
    return isinstance(update, Mapping) and update.get("sessionUpdate") == "agent_message_chunk"


class RunLog:
    """The log of one run in progress; `open_log` makes it."""

    def __init__(self, store: ObjectStore, key: str, path: Path, file: IO[bytes]) -> None:
        self._store = store
        self._key = key
        self._path = path
        self._file = file
        self._size = 0
        self._stored_size = -1
        self._changed = asyncio.Event()

    async def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry; chunks are left out, and so is everything beyond the log's limit."""
        if is_dropped(entry) or self._size > _MAX_BYTES:
            return
        line = orjson.dumps(entry) + b"\n"
        self._size += len(line)
        if self._size > _MAX_BYTES:
            line = orjson.dumps({"type": "truncated", "limit_bytes": _MAX_BYTES}) + b"\n"
        self._file.write(line)
        self._changed.set()

    async def keep_storing(self) -> None:
        """Put what is new, again and again, until cancelled. An outage of the store only delays it."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._put()
            except ObjectStoreUnavailable as error:
                log.warning("run_log.not_stored", error=repr(error))
                self._changed.set()
            await asyncio.sleep(_FIRST_PAUSE_SECONDS + self._size / _BYTES_PER_SECOND)

    async def close(self) -> bool:
        """Put what is left; False when the store stayed away and the end of the log is lost."""
        for attempt in range(_FINAL_TRIES):
            try:
                await self._put()
            except ObjectStoreUnavailable as error:
                log.warning("run_log.not_stored", error=repr(error))
                await asyncio.sleep(2**attempt)
            else:
                return True
        return False

    async def _put(self) -> None:
        self._file.flush()
        size = self._size
        if size != self._stored_size:
            await self._store.put(self._key, self._path, content_type=CONTENT_TYPE, tags=LOG_TAGS)
            self._stored_size = size


@asynccontextmanager
async def open_log(store: ObjectStore, key: str) -> AsyncGenerator[RunLog, None]:
    """Yield the log of a run, stored as it grows; leaving the block stores the rest."""
    with tempfile.NamedTemporaryFile(prefix="taskbeacon-log-", suffix=".jsonl") as file:
        run_log = RunLog(store, key, Path(file.name), file.file)
        storing = asyncio.create_task(run_log.keep_storing())
        try:
            yield run_log
        finally:
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)
            await run_log.close()
