"""Publish events of runs to Redis, in order and in batches, without delaying the code that creates them."""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Mapping
from contextvars import Context
from itertools import islice
from typing import NamedTuple, Protocol
from uuid import UUID

import orjson
import structlog
from redis.exceptions import NoScriptError, OutOfMemoryError
from typing_extensions import override

from app.clients.live_events.run_event_stream import APPEND_SCRIPT, script_arguments, stream_keys
from app.clients.live_events.run_events import MAX_EVENT_BYTES, EventKind
from app.clients.redis import RedisClient
from app.ids import new_hex_id
from app.outages import REDIS_ERRORS, is_outage

# Maximal number of events, of all runs, that wait while Redis is away; further events are dropped.
MAX_WAITING_EVENTS = 20_000
_MAX_WAITING_BYTES = 32 * 1024 * 1024
_MAX_ANSWERED = 10_000
_BATCH_EVENTS = 500
_BATCH_BYTES = 1024 * 1024
_LAST_WORDS_SECONDS = 3.0
# The errors in a row, without an outage, after which the events of a run are left out.
_MOST_FAULTS = 3

log = structlog.get_logger(__name__)


class _Event(NamedTuple):
    number: int
    run_id: UUID
    kind: EventKind
    data: bytes


class RunEvents(Protocol):
    """Where services put the stream events of runs."""

    def put(self, run_id: UUID, data: bytes, *, kind: EventKind = EventKind.ENTRY) -> None:
        """Queue a stream event, in the order of the calls, without waiting; a gap replaces dropped events."""

    async def settle(self) -> None:
        """Wait until all events queued so far are sent. Return early if Redis cannot be reached."""


class RunEventPublisher(RunEvents):
    """Publishes the stream events of runs to Redis, in order and in batches, by an `asyncio.Task`.

    Without Redis at most `max_waiting` wait in memory; a gap on the stream counts those that were dropped.
    """

    def __init__(self, redis: RedisClient, *, pause: float, max_waiting: int = MAX_WAITING_EVENTS) -> None:
        self._redis = redis
        self._pause = pause
        self._max_waiting = max_waiting
        self._writer = new_hex_id()
        self._number = 0
        self._waiting: deque[_Event] = deque()
        self._waiting_bytes = 0
        self._lost: Counter[UUID] = Counter()
        # The errors in a row of a run whose events alone Redis refuses.
        self._faults: Counter[UUID] = Counter()
        self._is_away = False
        self._script: str | None = None
        # The number of the last event of a run for which Redis has answered; the runs of the latest answers come last.
        self._answered: dict[UUID, int] = {}
        self._sending: asyncio.Task[None] | None = None
        self._settling: deque[tuple[int, asyncio.Future[None]]] = deque()

    @override
    def put(self, run_id: UUID, data: bytes, *, kind: EventKind = EventKind.ENTRY) -> None:
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
        self._waiting.append(_Event(self._number, run_id, kind, data))
        self._waiting_bytes += len(data)
        if self._sending is None:
            # Independent of the request that happens to publish the first event.
            self._sending = asyncio.create_task(self._send(), context=Context())

    @override
    async def settle(self) -> None:
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
                    refused = await self._send_batch(batch)
                except Exception as error:
                    # Continue: if no further event comes, nothing else would send the waiting ones.
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
                    else:
                        self._note_answer(event)
                self._release(batch[-1].number)
                if not self._is_full():
                    # The gap of a run that is refused waits for its next event.
                    for run_id in self._lost.keys() - self._faults.keys():
                        self._admit_loss(run_id)
        finally:
            self._sending = None
            self._release(self._number)

    def _note_answer(self, event: _Event) -> None:
        self._answered.pop(event.run_id, None)
        self._answered[event.run_id] = event.number
        if len(self._answered) > _MAX_ANSWERED:
            del self._answered[next(iter(self._answered))]

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

    def _next_batch(self) -> list[_Event]:
        batch: list[_Event] = []
        size = 0
        for event in islice(self._waiting, _BATCH_EVENTS):
            if batch and size + len(event.data) > _BATCH_BYTES:
                break
            batch.append(event)
            size += len(event.data)
        return batch

    async def _send_batch(self, batch: list[_Event], *, is_repeated: bool = False) -> Collection[UUID]:
        # In one round trip. What an earlier, failed attempt has added is not added twice. Returns the runs whose events
        # are left out.
        by_run: dict[UUID, list[str | int | bytes]] = {}
        for event in batch:
            by_run.setdefault(event.run_id, []).extend((event.number, event.kind, event.data))
        if self._script is None:
            self._script = await self._redis.script_load(APPEND_SCRIPT)
        async with self._redis.pipeline(transaction=False) as pipeline:
            for run_id, events in by_run.items():
                pipeline.execute_command(
                    "EVALSHA",
                    self._script,
                    2,
                    *stream_keys(run_id),
                    *script_arguments(run_id, self._writer, self._answered.get(run_id, 0)),
                    *events,
                )
            answers = await pipeline.execute(raise_on_error=False)
        answered = zip(by_run, answers, strict=True)
        errors = {run_id: answer for run_id, answer in answered if isinstance(answer, Exception)}
        if any(isinstance(error, NoScriptError) for error in errors.values()):
            # Redis was restarted. If it lacks the script again, that is an outage.
            self._script = None
            if not is_repeated:
                return await self._send_batch(batch, is_repeated=True)
        self._note_faults(by_run, errors)
        return errors.keys()

    def _note_faults(self, run_ids: Collection[UUID], errors: Mapping[UUID, Exception]) -> None:
        # Raises an error after which the batch is to be repeated.
        for run_id in run_ids:
            error = errors.get(run_id)
            if error is None:
                self._faults.pop(run_id, None)
            elif is_outage(error) or isinstance(error, OutOfMemoryError | NoScriptError):
                raise error
            else:
                self._faults[run_id] += 1
        for run_id, error in errors.items():
            if self._faults[run_id] < _MOST_FAULTS:
                raise error
            log.error("run_events.refused", run_id=str(run_id), error=repr(error))
