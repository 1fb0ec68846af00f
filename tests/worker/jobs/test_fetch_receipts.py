"""Receipts: the final results of pushes, which Expo has some time after it accepted them."""

import asyncio
from dataclasses import replace

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.expo.client import ExpoClient, open_http
from app.db import unit_of_work
from app.models import Notification, PushToken, Task, User
from app.runtime import ProcessContext
from app.services.retrying.policies import PUSH_PROBES
from app.worker.jobs.chores import fetch_due
from app.worker.loops.pushes import deliver_due
from tests.contract.pushes.rows import only_row
from tests.support.clock import MovableClock
from tests.support.deployment.processes import closed_port
from tests.support.devices import make_device, make_pending, notifications_of
from tests.support.stand_ins.push import PushService


async def deliver(process: ProcessContext) -> int:
    return await deliver_due(process)


async def pending(session: AsyncSession, task: Task, owner: User) -> PushToken:
    """Make a device and a push for it that is due; return the device."""
    device = await make_device(session, user=owner)
    await make_pending(session, task=task, device=device)
    return device


async def tokens(session: AsyncSession) -> set[str]:
    return set(await session.scalars(select(PushToken.token)))


async def test_receipts_settle_pushes_and_forget_dead_tokens(
    process: ProcessContext,
    session: AsyncSession,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
) -> None:
    devices = [await pending(session, task, owner) for _ in range(4)]
    await deliver(process)
    assert await fetch_due(process) == 0
    by_device = {row.device_id: row.ticket_id or "" for row in await notifications_of(process.sessions, task)}
    gone = {"status": "error", "details": {"error": "DeviceNotRegistered"}}
    push_service.receipts = {
        by_device[devices[0].id]: {"status": "ok"},
        by_device[devices[1].id]: gone,
        by_device[devices[2].id]: {"status": "error", "details": {"error": "InvalidCredentials"}},
    }
    clock.advance(minutes=15)

    assert await fetch_due(process) == 4

    decided = {
        row.device_id: (row.decision, row.reason) for row in await notifications_of(process.sessions, task)
    }
    assert decided == {
        devices[0].id: ("delivered", None),
        devices[1].id: ("rejected", "DeviceNotRegistered"),
        devices[2].id: ("rejected", "InvalidCredentials"),
        devices[3].id: ("sent", None),
    }
    assert await tokens(session) == {devices[i].token for i in (0, 2, 3)}
    # The one that is missing comes up again, until Expo has forgotten it.
    clock.advance(minutes=15)
    assert await fetch_due(process) == 1
    clock.advance(hours=24)
    assert await fetch_due(process) == 0
    assert push_service.receipt_batches == [4, 1]


async def test_receipts_are_fetched_later_if_expo_is_away(
    process: ProcessContext,
    session: AsyncSession,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
) -> None:
    await pending(session, task, owner)
    await deliver(process)
    ticket = (await only_row(process.sessions, task)).ticket_id or ""
    push_service.receipts[ticket] = {"status": "ok"}
    clock.advance(minutes=15)
    away = f"http://127.0.0.1:{closed_port()}"
    async with open_http(away) as http:
        client = ExpoClient(http, base_url=away, access_token=None, rate=None, probing=PUSH_PROBES)
        assert await fetch_due(replace(process, push_receipts=client)) == 0

    assert (await only_row(process.sessions, task)).decision == "sent"
    clock.advance(minutes=15)
    assert await fetch_due(process) == 1
    assert (await only_row(process.sessions, task)).decision == "delivered"


async def test_device_that_registered_since_survives_its_receipt(
    process: ProcessContext,
    session: AsyncSession,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
) -> None:
    device = await pending(session, task, owner)
    await deliver(process)
    ticket = (await only_row(process.sessions, task)).ticket_id or ""
    push_service.receipts[ticket] = {"status": "error", "details": {"error": "DeviceNotRegistered"}}
    clock.advance(minutes=15)
    await session.execute(update(PushToken).values(last_seen_at=clock.now))

    await fetch_due(process)

    assert await tokens(session) == {device.token}


async def test_receipts_that_expo_has_forgotten_wait_for_no_other_transaction(
    process: ProcessContext,
    session: AsyncSession,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
) -> None:
    """Regression: all of them were given up by one statement, which waited for each row in no order."""
    for _ in range(2):
        await pending(session, task, owner)
    await deliver(process)
    held, free = await notifications_of(process.sessions, task)
    clock.advance(hours=24)

    async with unit_of_work(process.sessions) as other, asyncio.timeout(10):
        await other.execute(select(Notification.id).where(Notification.id == held.id).with_for_update())
        assert await fetch_due(process) == 0

    reasons = {row.id: row.reason for row in await notifications_of(process.sessions, task)}
    assert reasons == {held.id: None, free.id: "NoReceipt"}
    await fetch_due(process)
    rows = await notifications_of(process.sessions, task)
    assert [(row.reason, row.attempts) for row in rows] == [("NoReceipt", 1)] * 2
    assert push_service.receipt_batches == []
