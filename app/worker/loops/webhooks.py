"""Loops that send events to webhook endpoints: one relays, one recovers, one claims, sends and settles deliveries.

None delays another. Attempts that end while a settlement is being written are settled together by the next one, so each
costs less under load.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Never

import structlog
from prometheus_client import Gauge

from app.clients.wakes import LEDGER, WakeListener
from app.clients.webhooks.webhook_messages import AttemptResult, WebhookSender
from app.clock import utcnow
from app.coroutines.periodic import attempt
from app.db import unit_of_work
from app.runtime import ProcessContext
from app.services.retrying.due_rows import settle_each
from app.services.retrying.policies import LOOP_SECONDS
from app.services.webhook_endpoints.attempt_results import settle
from app.services.webhook_endpoints.delivery_claims import Claimed, claim_due, next_due
from app.services.webhook_endpoints.missed_events import continue_recovery
from app.services.webhook_endpoints.relay import BATCH, relay_events
from app.services.webhook_endpoints.signing import sign
from app.tracing.spans import span
from app.worker.loops.supervision import repeat

# More than the 20 endpoints of a project can have under way.
_MOST_ATTEMPTS = 256
# The wait between a wake and the claim, so that one claim follows the ends of several attempts.
_CLAIM_GATHER_SECONDS = 0.01
# The wait between a wake and the relay, which costs the same for one event as for a few. It also has the first event of
# a run relayed after its agent has started, so that it does not delay the agent.
_RELAY_GATHER_SECONDS = 0.05

_LATE = Gauge("taskbeacon_webhook_oldest_pending_seconds", "How long the oldest due delivery has waited.")
_RELAYED = Gauge(
    "taskbeacon_webhook_relayed_timestamp_seconds", "When this process last relayed events without error."
)

log = structlog.get_logger(__name__)


class WebhookDeliverer:
    """Sends events to webhook endpoints, each claimed by only one of any number of processes."""

    def __init__(
        self,
        process: ProcessContext,
        sender: WebhookSender,
        *,
        look_seconds: float = 2.0,  # the interval of polling
        fault_seconds: float = LOOP_SECONDS,  # the pause after a fault
        batch: int = BATCH,  # the most events of a step of the relay
        most_attempts: int = _MOST_ATTEMPTS,  # at a time
    ) -> None:
        self._most_attempts = most_attempts
        self._look_seconds = look_seconds
        self._fault_seconds = fault_seconds
        self._batch = batch
        self._process = process
        self._sender = sender
        self._attempts: set[asyncio.Task[None]] = set()
        self._done: list[tuple[Claimed, AttemptResult]] = []
        self._settling = asyncio.Lock()

    async def run(self, changes: WakeListener) -> Never:
        """Send deliveries as they become due, until cancelled; requests in progress then finish."""
        again = partial(repeat, "webhook", pause=self._fault_seconds)
        try:
            sending = asyncio.Event()
            with changes.watch_topic(LEDGER) as relaying, changes.watch_topic(LEDGER) as recovering:
                async with asyncio.TaskGroup() as others:
                    for step, woken in ((self._relay, relaying), (self._recover, recovering)):
                        prepare = partial(self._prepare, step, sending)
                        others.create_task(again(prepare, woken, gather=_RELAY_GATHER_SECONDS))
                    await again(partial(self._send, sending), sending, gather=_CLAIM_GATHER_SECONDS)
        finally:
            # A separate task, so that a second cancellation does not end it.
            await asyncio.shield(asyncio.create_task(self.drain()))

    async def drain(self) -> None:
        """Wait until all webhook requests in progress have ended and their results are stored."""
        while self._attempts:
            await asyncio.wait(self._attempts)

    async def _send(self, woken: asyncio.Event) -> float:
        # A claim makes other workers wait, so first look: usually another worker has claimed what woke this one.
        wait = await self._until_due()
        if wait <= 0:
            # One claim takes as many deliveries as there is room for.
            await self._begin_attempts(woken)
            wait = await self._until_due()
        _LATE.set(max(0.0, -wait))
        # A due delivery that was not claimed waits for room; the end of an attempt wakes this loop.
        return min(wait, self._look_seconds) if wait > 0 else self._look_seconds

    async def _until_due(self) -> float:
        async with unit_of_work(self._process.sessions) as session:
            due_at = await next_due(session)
        return self._look_seconds if due_at is None else (due_at - utcnow()) / timedelta(seconds=1)

    async def _begin_attempts(self, woken: asyncio.Event) -> None:
        room = self._most_attempts - len(self._attempts)
        if room <= 0:
            return
        async with unit_of_work(self._process.sessions) as session:
            claimed = await claim_due(session, limit=room, cipher=self._process.cipher)
        for delivery in claimed:
            sending = asyncio.create_task(self._attempt(delivery))
            self._attempts.add(sending)
            sending.add_done_callback(self._attempts.discard)
            sending.add_done_callback(lambda _: woken.set())

    async def _prepare(self, step: Callable[[], Awaitable[int]], sending: asyncio.Event) -> float:
        is_repeated = await step() > 0
        sending.set()
        return 0.0 if is_repeated else self._look_seconds

    async def _relay(self) -> int:
        async with unit_of_work(self._process.sessions) as session:
            count = await relay_events(session, link=self._process.settings.task_url, batch=self._batch)
        _RELAYED.set(utcnow().timestamp())
        return count

    async def _recover(self) -> bool:
        async with unit_of_work(self._process.sessions) as session:
            return await continue_recovery(session, link=self._process.settings.task_url, batch=self._batch)

    async def _attempt(self, claimed: Claimed) -> None:
        try:
            result = await self._send_once(claimed)
        except Exception:
            # The lease expires, and the delivery is tried again.
            log.exception("webhook.attempt_failed", delivery_id=str(claimed.row.id))
            return
        self._done.append((claimed, result))
        async with self._settling:
            done, self._done = self._done, []
            if done:
                await self._settle(done)

    async def _send_once(self, claimed: Claimed) -> AttemptResult:
        row = claimed.row
        with span(
            "webhook", parent=row.traceparent, kind="client", delivery_id=row.id, attempt=row.attempts
        ) as sending:
            result = await self._sender.send(sign(claimed.message, traceparent=sending.traceparent))
            sending.set({"http.response.status_code": result.status_code}, error=result.error)
            return result

    async def _settle(self, done: list[tuple[Claimed, AttemptResult]]) -> None:
        event = "webhook.not_settled"
        store = partial(settle_each, self._process.sessions, done, settle, event=event, name=_log_fields)
        await attempt(store, event=event)


def _log_fields(done: tuple[Claimed, AttemptResult]) -> dict[str, object]:
    return {"delivery_id": str(done[0].row.id)}
