"""Publish events of runs to Redis, in order and in batches, without delaying the code that creates them."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextvars import Context
from itertools import islice
from uuid import UUID

import orjson
import structlog

from app.clients.live_events.run_event_stream import NewEvent, StreamWriter
from app.clients.live_events.run_events import MAX_EVENT_BYTES, EventKind
from app.clients.redis import RedisClient
from app.outages import REDIS_ERRORS

# At most this many events, of all runs together, wait while Redis is away; further events are dropped.
MAX_WAITING_EVENTS = 20_000
_MAX_WAITING_BYTES = 32 * 1024 * 1024
_BATCH_EVENTS = 500
_BATCH_BYTES = 1024 * 1024
_LAST_WORDS_SECONDS = 3.0
# If Redis refuses the events of a run this often in a row, without an outage, they are dropped.
_MOST_FAULTS = 3

log = structlog.get_logger(__name__)


class RunEvents:
    """Publishes the stream events of runs to Redis, in order and in batches, by an `asyncio.Task`.

    Without Redis at most `max_waiting` wait in memory; a gap on the stream counts those that were dropped.
    """

    def __init__(self, redis: RedisClient, *, pause: float, max_waiting: int = MAX_WAITING_EVENTS) -> None:
        self._writer = StreamWriter(redis)
        self._pause = pause
        self._max_waiting = max_waiting
        self._number = 0
        self._waiting: deque[NewEvent] = deque()
        self._waiting_bytes = 0
        self._lost: Counter[UUID] = Counter()
        # How often in a row Redis has refused the events of a run.
        self._faults: Counter[UUID] = Counter()
        self._is_away = False
        self._sending: asyncio.Task[None] | None = None
        self._settling: deque[tuple[int, asyncio.Future[None]]] = deque()

    def put(self, run_id: UUID, data: bytes, *, kind: EventKind = EventKind.ENTRY) -> None:
        """Queue a stream event, in the order of the calls, without waiting; a gap replaces dropped events."""
        if self._is_full():
            self._lost[run_id] += 1
            return
        self._admit_loss(run_id)
        if len(data) > MAX_EVENT_BYTES:
            kind, data = EventKind.OMITTED, orjson.dumps({"type": "omitted", "bytes": len(data)})
        self._add(run_id, kind, data)

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._max_waiting or self._waiting_bytes >= _MAX_WAITING_BYTES

    def _admit_loss(self, run_id: UUID) -> None:
        if lost := self._lost.pop(run_id, 0):
            self._add(run_id, EventKind.GAP, orjson.dumps({"type": "gap", "lost": lost}))

    def _add(self, run_id: UUID, kind: EventKind, data: bytes) -> None:
        self._number += 1
        self._waiting.append(NewEvent(self._number, run_id, kind, data))
        self._waiting_bytes += len(data)
        if self._sending is None:
            # An empty context, since the task outlives the request that starts it, and must not log its id.
            self._sending = asyncio.create_task(self._send(), context=Context())

    async def settle(self) -> None:
        """Wait until all events queued so far are sent. Return early if Redis cannot be reached."""
        if self._waiting and not self._is_away:
            settled = asyncio.get_running_loop().create_future()
            self._settling.append((self._number, settled))
            await settled

    async def aclose(self) -> None:
        """Send the queued events. Those that are not sent within a few seconds are dropped."""
        if self._sending is None:
            return
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._sending
        except TimeoutError:
            log.warning("run_events.dropped", count=len(self._waiting) + self._lost.total())

    async def _send(self) -> None:
        try:
            while self._waiting:
                batch = self._next_batch()
                try:
                    refused = await self._writer.append(batch)
                    self._note_faults(batch, refused)
                except Exception as error:
                    # Continue: without a further event, nothing else would send the waiting ones.
                    if not isinstance(error, REDIS_ERRORS):
                        log.exception("run_events.unexpected_error")
                    await self._wait_out(error)
                    continue
                self._is_away = False
                for event in batch:
                    self._waiting.popleft()
                    self._waiting_bytes -= len(event.data)
                    if event.run_id in refused:
                        is_gap = event.kind is EventKind.GAP
                        self._lost[event.run_id] += orjson.loads(event.data)["lost"] if is_gap else 1
                self._release(batch[-1].number)
                if not self._is_full():
                    # A run whose events Redis refuses gets its gap with its next event.
                    for run_id in self._lost.keys() - self._faults.keys():
                        self._admit_loss(run_id)
        finally:
            self._sending = None
            self._release(self._number)

    async def _wait_out(self, error: Exception) -> None:
        if not self._is_away:
            log.warning("run_events.not_sent", error=repr(error))
        self._is_away = True
        self._release(self._number)
        await asyncio.sleep(self._pause)

    def _release(self, up_to: int) -> None:
        while self._settling and self._settling[0][0] <= up_to:
            _, settled = self._settling.popleft()
            if not settled.done():
                settled.set_result(None)

    def _next_batch(self) -> list[NewEvent]:
        batch: list[NewEvent] = []
        size = 0
        for event in islice(self._waiting, _BATCH_EVENTS):
            if batch and size + len(event.data) > _BATCH_BYTES:
                break
            batch.append(event)
            size += len(event.data)
        return batch

    def _note_faults(self, batch: Iterable[NewEvent], refused: Mapping[UUID, Exception]) -> None:
        # Raises the error of a refused run, so that `_send` repeats the batch, until the run has had too many.
        for run_id in {event.run_id for event in batch} - refused.keys():
            self._faults.pop(run_id, None)
        self._faults.update(refused.keys())
        for run_id, error in refused.items():
            if self._faults[run_id] < _MOST_FAULTS:
                raise error
            if self._faults[run_id] == _MOST_FAULTS:
                log.error("run_events.refused", run_id=str(run_id), error=repr(error))
