"""Receipts: the final results of pushes, which Expo has some time after it accepted them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.expo.expo_client import ExpoClient, open_http
from app.db import unit_of_work
from app.models import Notification, PushToken, Task, User
from app.runtime import ProcessContext
from app.services.retrying.policies import PUSH_PROBES
from app.worker.jobs.fetch_receipts import fetch_due
from app.worker.loops.pushes import deliver_due
from tests.support.clock import MovableClock
from tests.support.deployment.processes import closed_port
from tests.support.devices import make_device, make_pending, notifications_of
from tests.support.stand_ins.push import PushService, with_push

AFTER = timedelta(minutes=15)
GONE = {"status": "error", "details": {"error": "DeviceNotRegistered"}}
Send = Callable[[int], Awaitable[list[tuple[PushToken, Notification]]]]


@pytest.fixture
def send(
    process: ProcessContext, session: AsyncSession, task: Task, owner: User, clock: MovableClock
) -> Send:
    """Send pushes, each to a device of its own; return devices and pushes when the receipts are due."""

    async def send(count: int) -> list[tuple[PushToken, Notification]]:
        devices = [await make_device(session, user=owner) for _ in range(count)]
        for device in devices:
            await make_pending(session, task=task, device=device)
        await deliver_due(process)
        assert await fetch_due(process) == 0
        sent = {push.device_id: push for push in await notifications_of(process.sessions, task)}
        clock.advance(seconds=AFTER.total_seconds())
        return [(device, sent[device.id]) for device in devices]

    return send


async def ends_of(process: ProcessContext, task: Task) -> dict[UUID, tuple[str, str | None]]:
    """Return the decision and the reason of each push."""
    return {push.id: (push.decision, push.reason) for push in await notifications_of(process.sessions, task)}


async def tokens(session: AsyncSession) -> set[str]:
    return set(await session.scalars(select(PushToken.token)))


async def test_receipts_settle_pushes_and_forget_dead_tokens(
    process: ProcessContext,
    session: AsyncSession,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    send: Send,
) -> None:
    (good, dead, refused, missing) = await send(4)
    push_service.receipts = {
        good[1].ticket_id or "": {"status": "ok"},
        dead[1].ticket_id or "": GONE,
        refused[1].ticket_id or "": {"status": "error", "details": {"error": "InvalidCredentials"}},
    }

    assert await fetch_due(process) == 4

    assert await ends_of(process, task) == {
        good[1].id: ("delivered", None),
        dead[1].id: ("rejected", "DeviceNotRegistered"),
        refused[1].id: ("rejected", "InvalidCredentials"),
        missing[1].id: ("sent", None),
    }
    assert await tokens(session) == {device.token for device, _ in (good, refused, missing)}
    # The one that is missing comes up again, until Expo has forgotten it.
    clock.advance(minutes=15)
    assert await fetch_due(process) == 1
    clock.advance(hours=24)
    assert await fetch_due(process) == 0
    assert push_service.receipt_batches == [4, 1]


async def test_receipts_are_fetched_later_if_expo_is_away(
    process: ProcessContext, task: Task, push_service: PushService, clock: MovableClock, send: Send
) -> None:
    [(_, push)] = await send(1)
    push_service.receipts[push.ticket_id or ""] = {"status": "ok"}
    away = f"http://127.0.0.1:{closed_port()}"
    async with open_http(away) as http:
        client = ExpoClient(http, base_url=away, access_token=None, rate=None, next_probe=PUSH_PROBES.next_at)
        assert await fetch_due(with_push(process, receipts=client)) == 0

    assert await ends_of(process, task) == {push.id: ("sent", None)}
    clock.advance(minutes=15)
    assert await fetch_due(process) == 1
    assert await ends_of(process, task) == {push.id: ("delivered", None)}


async def test_device_that_registered_since_survives_its_receipt(
    process: ProcessContext, session: AsyncSession, push_service: PushService, clock: MovableClock, send: Send
) -> None:
    [(device, push)] = await send(1)
    push_service.receipts[push.ticket_id or ""] = GONE
    await session.execute(update(PushToken).values(last_seen_at=clock.now))

    await fetch_due(process)

    assert await tokens(session) == {device.token}


async def test_receipts_that_expo_has_forgotten_wait_for_no_other_transaction(
    process: ProcessContext, task: Task, push_service: PushService, clock: MovableClock, send: Send
) -> None:
    """Regression: all of them were given up by one statement, which waited for each row in no order."""
    (_, held), (_, free) = await send(2)
    clock.advance(hours=24)

    async with unit_of_work(process.sessions) as other, asyncio.timeout(10):
        await other.execute(select(Notification.id).where(Notification.id == held.id).with_for_update())
        assert await fetch_due(process) == 0

    pushes = await notifications_of(process.sessions, task)
    assert {push.id: push.reason for push in pushes} == {held.id: None, free.id: "NoReceipt"}
    await fetch_due(process)
    pushes = await notifications_of(process.sessions, task)
    assert [(push.reason, push.attempts) for push in pushes] == [("NoReceipt", 1)] * 2
    assert push_service.receipt_batches == []
