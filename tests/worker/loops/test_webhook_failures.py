"""Faults of receivers: they are distinguished, bounded and logged, and finally disable an endpoint."""

import asyncio
from datetime import timedelta
from typing import Literal

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.enums import DeliveryStatus, DisabledReason
from app.models import (
    Event,
    Project,
    Task,
    User,
    WebhookEndpoint,
)
from app.services.webhook_endpoints import sending
from tests.support.clock import MovableClock
from tests.support.metrics import growth
from tests.support.stand_ins.receiver import Answer, Receiver
from tests.support.waiting import eventually, patient
from tests.support.webhooks import Deliveries, attempts_of, make_endpoint, record_event

# Before a fixture of a test replaces it.
TOTAL_SECONDS = sending._TOTAL_SECONDS


async def test_answer_that_is_large_compressed_or_no_text_is_read_to_a_bound_and_not_shown(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.answers += [
        Answer(body=b"a\x00\x1b[31m" + b"b" * 100_000),
        Answer(headers={"content-encoding": "gzip"}, body=b"\x1f\x8b"),
        Answer(headers={"content-type": "image/png"}, body=b"\x89PNG"),
    ]
    for _ in range(3):
        await record_event(sessions, task)
        await deliveries.deliver()

    excerpts = [
        attempt.response_excerpt
        for row in await deliveries.rows()
        for attempt in await attempts_of(sessions, row)
    ]
    assert [len(excerpt) if excerpt else None for excerpt in excerpts] == [1024, None, None]
    assert excerpts[0] is not None
    assert excerpts[0].startswith("a  [31mbb")


@pytest.mark.parametrize("goes_on", ["silently", "talking"])
async def test_answer_that_does_not_end_is_broken_off_and_counts_by_its_status(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    goes_on: Literal["silently", "talking"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silence is waited for a moment, and of a flood only the beginning is read, however much time there is."""
    monkeypatch.setattr(sending, "_ANSWER_SECONDS", 1.0 if goes_on == "silently" else 3600.0)
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.answers.append(Answer(body=b"so far", goes_on=goes_on))
    await record_event(sessions, task)

    await deliveries.deliver()

    (row,) = await deliveries.rows()
    (attempt,) = await attempts_of(sessions, row)
    assert (row.status, attempt.status_code) == (DeliveryStatus.DELIVERED, 200)
    assert (attempt.response_excerpt or "").startswith("so far")
    if goes_on == "talking":
        await eventually(lambda: receiver.broken_off == 1)
    else:
        assert attempt.duration_ms < 1000 * patient(60)


async def test_receiver_that_does_not_answer_in_time_gets_the_message_again(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert TOTAL_SECONDS == 15
    monkeypatch.setattr(sending, "_TOTAL_SECONDS", 0.2)
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.always = Answer(hangs=True)
    await record_event(sessions, task)

    await deliveries.deliver()

    (row,) = await deliveries.rows()
    (attempt,) = await attempts_of(sessions, row)
    assert (row.status, attempt.error, attempt.status_code) == (DeliveryStatus.PENDING, "timeout", None)
    assert attempt.duration_ms >= 200
    assert attempt.next_attempt_at == row.due_at


async def test_operators_see_how_attempts_end_and_how_late_they_are(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    clock: MovableClock,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.answers.append(Answer(500))
    await record_event(sessions, task)
    failed = growth("taskbeacon_webhook_deliveries_total", outcome="http_5xx")
    delivered = growth("taskbeacon_webhook_deliveries_total", outcome="delivered")
    needed = growth("taskbeacon_webhook_attempts_sum")
    took = growth("taskbeacon_webhook_attempt_seconds_count")

    await deliveries.deliver()

    assert (failed(), delivered(), needed(), took()) == (1, 0, 0, 1)
    (row,) = await deliveries.rows()
    clock.now = row.due_at + timedelta(seconds=7)
    await deliveries.deliverer._pause()
    assert REGISTRY.get_sample_value("taskbeacon_webhook_oldest_pending_seconds") == 7
    await deliveries.deliver()
    await deliveries.deliverer._pause()
    assert (failed(), delivered(), needed(), took()) == (1, 1, 2, 2)
    assert REGISTRY.get_sample_value("taskbeacon_webhook_oldest_pending_seconds") == 0


async def test_nothing_that_is_deleted_meanwhile_breaks_a_settlement(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    await record_event(sessions, task)
    receiver.always = Answer(hangs=True)
    working = asyncio.create_task(deliveries.deliver())

    async def has_it() -> bool:
        return bool(receiver.messages)

    await eventually(has_it)
    await session.execute(delete(WebhookEndpoint))
    receiver.go_on.set()
    await working

    assert await deliveries.rows() == []


async def test_unreachable_receivers_are_distinguished(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    """A server without TLS, a port without a server, and a name that is reserved for not existing."""
    for url in (
        receiver.base_url.replace("http:", "https:"),
        "http://127.0.0.1:1/",
        "http://nothing.invalid/",
        "http://10.0.0.1/",
    ):
        await make_endpoint(session, project=project, created_by=owner, url=url)
    await record_event(sessions, task)

    await deliveries.deliver()

    rows = await deliveries.rows()
    errors = {
        (await session.get_one(WebhookEndpoint, row.endpoint_id)).url.partition("://")[2].partition("/")[0]: (
            await attempts_of(sessions, row)
        )[0].error
        for row in rows
    }
    assert errors == {
        receiver.base_url.removeprefix("http://"): "tls_failed",
        "127.0.0.1:1": "connect_failed",
        "nothing.invalid": "dns_failed",
        "10.0.0.1": "blocked_address",
    }


async def test_endpoint_that_is_blocked_twenty_times_running_is_disabled(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    deliveries: Deliveries,
    clock: MovableClock,
) -> None:
    """All at one instant: no retry comes between."""
    assert clock.now
    endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url="https://10.0.0.1/")
    for _ in range(20):
        assert (await deliveries.endpoint(endpoint)).enabled
        await record_event(sessions, task)
        await deliveries.deliver()

    assert (await deliveries.endpoint(endpoint)).disabled_reason == DisabledReason.BLOCKED_ADDRESS
    assert await session.scalar(select(Event.data["reason"].astext).order_by(Event.seq.desc()).limit(1)) == (
        "blocked_address"
    )
