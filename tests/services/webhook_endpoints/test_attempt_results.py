"""Results of webhook attempts: stored twice, or after a request for another attempt."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.webhooks.webhook_messages import AttemptResult
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import DeliveryError, DeliveryStatus, DisabledReason
from app.models import Project, User, WebhookEndpoint, WebhookEndpointDelivery
from app.runtime import ProcessContext
from app.services.retrying.policies import WEBHOOK_ATTEMPTS
from app.services.webhook_endpoints import webhook_administration
from app.services.webhook_endpoints.attempt_results import settle
from app.services.webhook_endpoints.delivery_claims import FAILING_AFTER, Claimed, claim_due
from tests.support.clock import MovableClock
from tests.support.database.faults import rolled_back
from tests.support.metrics import growth
from tests.support.webhooks import attempts_of, make_delivery, make_endpoint


@pytest.fixture
async def endpoint(session: AsyncSession, project: Project, owner: User) -> WebhookEndpoint:
    return (await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/"))[0]


async def claim(process: ProcessContext) -> Claimed:
    async with unit_of_work(process.sessions) as own:
        (claimed,) = await claim_due(own, limit=1, cipher=process.cipher)
    return claimed


def result(error: DeliveryError, status_code: int) -> AttemptResult:
    return AttemptResult(
        started_at=utcnow(), duration=timedelta(seconds=1), error=error, status_code=status_code
    )


async def test_results_that_are_stored_twice_count_once(
    session: AsyncSession, process: ProcessContext, endpoint: WebhookEndpoint
) -> None:
    """Regression: a repeated settlement violated the key of the log, and what it held was not settled."""
    first, second = await make_delivery(session, endpoint), await make_delivery(session, endpoint)
    unavailable = result(DeliveryError.HTTP_5XX, 503)
    counted = growth("taskbeacon_webhook_deliveries_total", outcome="http_5xx")
    stored = (await claim(process), unavailable)
    async with unit_of_work(process.sessions) as own:
        await settle(own, [stored])
    due_at = (await stored_row(process.sessions, first)).due_at

    async with unit_of_work(process.sessions) as own:
        await settle(own, [stored, (await claim(process), unavailable)])

    for delivery in (first, second):
        (attempt,) = await attempts_of(process.sessions, delivery)
        assert attempt.status_code == 503
        row = await stored_row(process.sessions, delivery)
        assert (row.status, row.attempts, row.leased_until) == (DeliveryStatus.PENDING, 1, None)
    assert (await stored_row(process.sessions, first)).due_at == due_at
    await session.refresh(endpoint)
    assert (endpoint.consecutive_failures, counted()) == (2, 2)


async def test_result_whose_commit_fails_counts_when_it_is_stored(
    session: AsyncSession, process: ProcessContext, endpoint: WebhookEndpoint
) -> None:
    """Regression: an attempt was counted before its transaction was committed, and again when that was repeated."""
    await make_delivery(session, endpoint)
    counted = growth("taskbeacon_webhook_deliveries_total", outcome="http_5xx")
    stored = (await claim(process), result(DeliveryError.HTTP_5XX, 503))
    for transaction in (rolled_back, unit_of_work):
        async with transaction(process.sessions) as own:
            await settle(own, [stored])
    assert counted() == 1


async def test_result_that_disabled_its_endpoint_does_not_disable_it_again(
    session: AsyncSession, process: ProcessContext, endpoint: WebhookEndpoint
) -> None:
    """The creator may have enabled it between the commit and the repetition."""
    await make_delivery(session, endpoint)
    gone = (await claim(process), result(DeliveryError.HTTP_4XX, 410))
    async with unit_of_work(process.sessions) as own:
        await settle(own, [gone])
    await session.refresh(endpoint)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, DisabledReason.GONE)
    endpoint.enabled, endpoint.disabled_reason = True, None
    await session.flush()

    async with unit_of_work(process.sessions) as own:
        await settle(own, [gone])

    await session.refresh(endpoint)
    assert endpoint.enabled


@pytest.mark.parametrize("before", [0, WEBHOOK_ATTEMPTS - 1])
async def test_message_that_is_asked_for_again_during_an_attempt_is_sent_at_once_after_it(
    session: AsyncSession,
    process: ProcessContext,
    endpoint: WebhookEndpoint,
    clock: MovableClock,
    before: int,
) -> None:
    """Regression: the result of the attempt overwrote the request: it failed for good, or waited for its next time."""
    endpoint.consecutive_failures = FAILING_AFTER
    delivery = await make_delivery(session, endpoint, attempts=before)
    claimed = await claim(process)
    clock.advance(seconds=1)
    async with unit_of_work(process.sessions) as own:
        _ = await webhook_administration.redeliver(own, delivery.id)

    async with unit_of_work(process.sessions) as own:
        await settle(own, [(claimed, result(DeliveryError.HTTP_5XX, 503))])

    row = await stored_row(process.sessions, delivery)
    assert (row.status, row.due_at) == (DeliveryStatus.PENDING, clock.now)
    again = await claim(process)
    assert (again.row.id, again.row.attempts, again.row.is_manual) == (delivery.id, before + 2, True)


async def test_message_that_arrives_in_an_attempt_is_not_sent_again_for_a_request_during_it(
    session: AsyncSession, process: ProcessContext, endpoint: WebhookEndpoint, clock: MovableClock
) -> None:
    delivery = await make_delivery(session, endpoint)
    claimed = await claim(process)
    clock.advance(seconds=1)
    async with unit_of_work(process.sessions) as own:
        _ = await webhook_administration.redeliver(own, delivery.id)

    async with unit_of_work(process.sessions) as own:
        taken = AttemptResult(started_at=utcnow(), duration=timedelta(seconds=1))
        await settle(own, [(claimed, taken)])

    row = await stored_row(process.sessions, delivery)
    assert (row.status, row.is_manual, row.leased_until) == (DeliveryStatus.DELIVERED, False, None)


async def stored_row(sessions: SessionFactory, delivery: WebhookEndpointDelivery) -> WebhookEndpointDelivery:
    async with unit_of_work(sessions) as session:
        return await session.get_one(WebhookEndpointDelivery, delivery.id)
