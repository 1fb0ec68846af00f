"""Writes the log of a run in progress: collects entries in a local file, and stores them in batches."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import IO

import orjson
import structlog

from app.api_limits import LOG_BYTES
from app.clients.storage.storage_keys import RunRef
from app.coroutines.periodic import wait
from app.services.opened_clients import ServiceClients
from app.services.retrying.policies import RUN_FILES
from app.services.run_log.log_entries import is_chunk
from app.services.run_log.log_writing import append_lines
from app.worker.run.store_retry import StoreRetryBudget

# A batch is collected for half a second, and a second longer for each 16 MiB of the log: it takes longer to extend
# a larger one.
_GATHER_SECONDS = 0.5
_BYTES_PER_SECOND = 16 * 1024 * 1024
_BATCH_BYTES = 8 * 1024 * 1024

log = structlog.get_logger(__name__)


class RunLog:
    """The log of a run in progress. It publishes each entry to followers at once, and stores entries in batches."""

    def __init__(
        self, publish: Callable[[bytes], None], send: Callable[[bytes], Awaitable[None]], file: IO[bytes]
    ) -> None:
        self._publish = publish
        self._send = send
        self._file = file.fileno()
        self._size = 0
        self._sent = 0
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self.entries = 0
        # False once an entry is lost, because of a full disk, an outage of the store, or an unexpected error.
        self.is_whole = True

    async def append(self, entry: Mapping[str, object]) -> None:
        """Publish an entry, and store it unless it is a chunk of a message (the whole follows) or the log is full."""
        line = orjson.dumps(entry)
        self.entries += 1
        self._publish(line)
        self._keep(entry, line)

    async def record(self, entry: Mapping[str, object]) -> None:
        """Add an entry to the stored log. Does not publish it, because another process has published it already."""
        self._keep(entry, orjson.dumps(entry))

    def _keep(self, entry: Mapping[str, object], line: bytes) -> None:
        if is_chunk(entry) or self._size > LOG_BYTES:
            return
        line += b"\n"
        try:
            written = os.pwrite(self._file, line, self._size)
        except OSError as error:
            log.warning("run_log.not_written", error=repr(error))
            written = 0
        if written < len(line):
            # The disk is full. The next line that finds room overwrites this incomplete line.
            self.is_whole = False
            return
        self._size += written
        self._changed.set()

    async def keep_sending(self) -> None:
        """Send new entries to the stored log in batches until `close`; after an error with a later batch."""
        while not self._closing.is_set():
            await self._changed.wait()
            is_over = await wait(self._closing, _GATHER_SECONDS + self._size / _BYTES_PER_SECOND)
            self._changed.clear()
            if is_over:
                return
            try:
                await self._send_rest()
            except RUN_FILES.errors as error:
                log.warning("run_log.not_stored", error=repr(error))
                self._changed.set()
            except Exception:
                # Tried again only with the next entry: a defect could be repeated twice a second, for hours.
                log.exception("run_log.not_stored")

    async def close(self, sending: asyncio.Task[None], retry: StoreRetryBudget) -> None:
        """End `sending`, the task that runs `keep_sending`, and send the remaining entries to the stored log.

        If the object store is unavailable for longer than `retry` allows, or after an unexpected error, entries are
        lost and `is_whole` becomes false; nothing is raised. The task is cancelled only then, because the store could
        complete a cancelled write later, and the log stays locked for that time.
        """
        self._closing.set()
        self._changed.set()
        try:
            async with retry.limit():
                await sending
                retry.allow_final_entries()
                await retry.call(self._send_rest)
        except Exception as error:
            # A lost log must not lose the other results of the run.
            is_outage = isinstance(error, (*RUN_FILES.errors, TimeoutError))
            log.warning(
                "run_log.cut_off", bytes=self._size - self._sent, error=repr(error), exc_info=not is_outage
            )
            self.is_whole = False

    async def _send_rest(self) -> None:
        while self._sent < self._size:
            # Up to 8 MiB, which a slow disk may not have at hand.
            lines = await asyncio.to_thread(self._next_lines)
            await self._send(lines)
            self._sent += len(lines)

    def _next_lines(self) -> bytes:
        unsent = self._size - self._sent
        batch = os.pread(self._file, min(unsent, _BATCH_BYTES), self._sent)
        if end := batch.rfind(b"\n") + 1:
            return batch[:end]
        length = len(batch)
        while length < unsent:
            piece = os.pread(self._file, _BATCH_BYTES, self._sent + length)
            if end := piece.find(b"\n") + 1:
                return os.pread(self._file, length + end, self._sent)
            length += _BATCH_BYTES
        return os.pread(self._file, unsent, self._sent)


@asynccontextmanager
async def open_log(
    clients: ServiceClients, ref: RunRef, file: Path, retry: StoreRetryBudget
) -> AsyncGenerator[RunLog, None]:
    """Yield the log of a run, which stores entries in batches, and the last ones when the block ends.

    Followers get entries at once; the local `file` collects them until they are stored. If the block fails or is
    cancelled, an outage of the store is retried only for a short time.
    """
    publish = partial(clients.events.put, ref.run_id)
    send = partial(append_lines, clients.sessions, clients.store, ref)
    with file.open("x+b") as gathered:
        run_log = RunLog(publish, send, gathered)
        sending = asyncio.create_task(run_log.keep_sending())
        try:
            yield run_log
        except BaseException:
            retry.shorten()
            raise
        finally:
            await run_log.close(sending, retry)
