"""Recoveries of webhook endpoints that a worker continues: by batches, in turn, and dropped with their endpoint."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clock import utcnow
from app.db import unit_of_work
from app.enums import RecoverOnly
from app.errors import InvalidInput
from app.models import Event, Project, Task, User, WebhookEndpoint, WebhookEndpointDelivery, WebhookRecovery
from app.runtime import ProcessContext
from app.schemas.webhook_endpoints import RecoverIn
from app.services.events.cursor import SETTLED
from app.services.webhook_endpoints.missed_events import MOST_AGAIN, continue_recovery, recover
from tests.support.clock import MovableClock
from tests.support.database.faults import refusing_some
from tests.support.principals import member_of
from tests.support.waiting import eventually
from tests.support.webhooks import make_delivery, make_endpoint, record_event


class Missed:
    """Five events, a minute apart, from before the endpoints of their project."""

    def __init__(self, process: ProcessContext, project: Project, owner: User, began: datetime) -> None:
        self._process = process
        self._caller = member_of(project, owner)
        self._began = began
        self.events: Sequence[UUID] = ()
        self.most = MOST_AGAIN

    async def recover(self, endpoint: WebhookEndpoint, first: int, last: int) -> int:
        """Recover the events with these numbers, and return the number that the answer has."""
        body = RecoverIn.model_validate(
            {"since": self._at(first), "until": self._at(last), "only": RecoverOnly.ALL}
        )
        settings = self._process.settings
        async with unit_of_work(self._process.sessions) as session:
            return await recover(session, self._caller, endpoint.id, body, settings=settings, most=self.most)

    async def step(self, *, batch: int = 2) -> bool:
        """Continue a recovery by one batch."""
        async with unit_of_work(self._process.sessions) as session:
            return await continue_recovery(session, link="", batch=batch)

    async def delivered(self, endpoint: WebhookEndpoint) -> list[int]:
        """Return the numbers of the events that the endpoint has a delivery of."""
        delivery = WebhookEndpointDelivery
        async with unit_of_work(self._process.sessions) as session:
            found = await session.scalars(
                select(delivery.event_id).where(delivery.endpoint_id == endpoint.id)
            )
            return sorted(self.events.index(event_id) for event_id in found)

    def _at(self, number: int) -> str:
        return (self._began + timedelta(minutes=number)).isoformat()


@pytest.fixture
async def missed(
    process: ProcessContext, session: AsyncSession, project: Project, owner: User, task: Task
) -> Missed:
    began = utcnow() - timedelta(hours=2)
    made = Missed(process, project, owner, began)
    made.events = [
        await record_event(process.sessions, task, occurred_at=began + timedelta(minutes=number))
        for number in range(5)
    ]

    async def are_readable() -> bool:
        rows = await session.scalars(select(Event.id).where(Event.transaction_id < SETTLED))
        return len(rows.all()) == len(made.events)

    await eventually(are_readable)
    return made


@pytest.fixture
async def endpoint(session: AsyncSession, project: Project, owner: User) -> WebhookEndpoint:
    return (await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/"))[0]


async def test_recovery_continues_where_its_last_batch_ended(
    missed: Missed, endpoint: WebhookEndpoint
) -> None:
    assert await missed.recover(endpoint, 0, 4) == 5
    made = []
    while await missed.step():
        made.append(await missed.delivered(endpoint))
    assert made == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4]]


async def test_recovery_of_another_period_joins_the_one_under_way(
    missed: Missed, endpoint: WebhookEndpoint
) -> None:
    assert await missed.recover(endpoint, 2, 4) == 3
    await missed.step()
    assert await missed.recover(endpoint, 0, 1) == 2

    while await missed.step():
        pass

    assert await missed.delivered(endpoint) == [0, 1, 2, 3, 4]


async def test_recoveries_of_two_endpoints_take_turns(
    session: AsyncSession, project: Project, owner: User, missed: Missed, endpoint: WebhookEndpoint
) -> None:
    other, _ = await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/other")
    for each in (endpoint, other):
        await missed.recover(each, 0, 4)
    for numbers in ([0, 1], [0, 1, 2, 3]):
        for _ in range(2):
            assert await missed.step()
        assert await missed.delivered(endpoint) == await missed.delivered(other) == numbers


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_recovery_ends_with_its_endpoint(
    session: AsyncSession, missed: Missed, endpoint: WebhookEndpoint, is_deleted: bool
) -> None:
    await missed.recover(endpoint, 0, 4)
    await missed.step()
    if is_deleted:
        await session.delete(endpoint)
        await session.flush()
    else:
        await session.execute(update(WebhookEndpoint).values(enabled=False, disabled_reason="user"))

    while await missed.step():
        pass

    assert await missed.delivered(endpoint) == ([] if is_deleted else [0, 1])
    assert await session.scalar(select(WebhookRecovery.endpoint_id)) is None


async def test_nothing_missing_leaves_nothing_to_continue(missed: Missed, endpoint: WebhookEndpoint) -> None:
    await missed.recover(endpoint, 0, 4)
    assert await missed.step(batch=5)
    assert await missed.step(batch=5)
    assert await missed.recover(endpoint, 0, 4) == 0
    assert not await missed.step()


async def test_recovery_that_another_worker_continues_is_left_to_it(
    process: ProcessContext, missed: Missed, endpoint: WebhookEndpoint
) -> None:
    """Regression: the second worker waited for the first one, and relayed nothing until then."""
    await missed.recover(endpoint, 0, 4)
    async with unit_of_work(process.sessions) as first:
        assert await continue_recovery(first, link="", batch=2)
        async with unit_of_work(process.sessions) as second:
            await second.execute(text("SET LOCAL lock_timeout = '10s'"))
            assert not await continue_recovery(second, link="", batch=2)

    assert await missed.step()
    assert await missed.delivered(endpoint) == [0, 1, 2, 3]


async def test_recovery_that_fails_holds_up_no_other_and_is_tried_again(
    clock: MovableClock,  # before the events
    engine: AsyncEngine,
    session: AsyncSession,
    project: Project,
    owner: User,
    missed: Missed,
    endpoint: WebhookEndpoint,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: the recovery that had waited longest was tried for ever, and no other continued."""
    other, _ = await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/other")
    await missed.recover(endpoint, 0, 4)
    clock.advance(seconds=1)
    await missed.recover(other, 0, 4)

    bad = f"NEW.endpoint_id = '{endpoint.id}'"
    async with refusing_some(engine, "webhook_endpoint_deliveries", bad):
        while await missed.step():
            pass
    assert caplog.text.count("webhook.recovery_failed") == 1
    assert (await missed.delivered(endpoint), await missed.delivered(other)) == ([], [0, 1, 2, 3, 4])

    clock.advance(minutes=1)
    while await missed.step():
        pass
    assert await missed.delivered(endpoint) == [0, 1, 2, 3, 4]


async def test_recovery_passes_an_event_that_cannot_be_rendered(
    session: AsyncSession, missed: Missed, endpoint: WebhookEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: the recovery was tried again each minute for ever, and never came to the next event."""
    await missed.recover(endpoint, 0, 4)
    await session.execute(update(Event).where(Event.id == missed.events[1]).values(data=["no fields"]))

    while await missed.step():
        pass

    assert await missed.delivered(endpoint) == [0, 2, 3, 4]
    assert caplog.text.count("webhook.event_skipped") == 1


async def test_recovery_of_too_many_deliveries_is_refused_and_changes_none(
    session: AsyncSession, missed: Missed, endpoint: WebhookEndpoint
) -> None:
    """Regression: one statement changed those of a month, and was cut off by its time limit at each try."""
    missed.most = 2
    for event_id, event_at in await session.execute(select(Event.id, Event.occurred_at)):
        values = {"event_id": event_id, "event_at": event_at, "status": "failed"}
        await make_delivery(session, endpoint, **values)
    statuses = select(WebhookEndpointDelivery.status).order_by(WebhookEndpointDelivery.event_at)

    with pytest.raises(InvalidInput, match="More than 2 messages"):
        await missed.recover(endpoint, 0, 4)

    assert (await session.scalars(statuses)).all() == ["failed"] * 5
    assert await missed.recover(endpoint, 1, 2) == 2
    assert (await session.scalars(statuses)).all() == ["failed", "pending", "pending", "failed", "failed"]
