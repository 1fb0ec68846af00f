"""What goes wrong with receivers: it is told apart, bounded, logged, and in the end reason to disable an endpoint."""

import asyncio

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.enums import DisabledReason
from app.models import (
    Event,
    Project,
    Task,
    User,
    WebhookEndpoint,
)
from tests.support.clock import MovableClock
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually
from tests.support.webhooks import Deliveries, attempts_of, make_endpoint, record_event


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


async def test_unreachable_receivers_are_told_apart(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    """TLS is spoken to a server that speaks none; port 1 has nobody; the name is reserved for not being there."""
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
