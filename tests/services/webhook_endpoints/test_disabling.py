"""What disables a webhook endpoint: failures, blocked addresses, a person who leaves; and what operators reach."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.webhooks.webhook_messages import AttemptResult
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import DeliveryError, DeliveryStatus, DisabledReason
from app.errors import NotFound
from app.ids import new_id
from app.models import Membership, Notification, Project, User, WebhookEndpoint, WebhookEndpointDelivery
from app.services.accounts import administration
from app.services.webhook_endpoints import webhook_administration
from app.services.webhook_endpoints.deliveries import prune_deliveries
from app.services.webhook_endpoints.disabling import Health, disable_orphaned
from tests.support.database.faults import rolled_back
from tests.support.devices import make_device
from tests.support.factories import make_project, make_user
from tests.support.webhooks import make_delivery, make_endpoint

URL = "https://hooks.example.com/a-secret-path"
BEGAN = utcnow()
FRESH = Health(None, None, 0, None, has_exhausted=False, blocked_in_a_row=0)


def result(error: DeliveryError | None) -> AttemptResult:
    return AttemptResult(started_at=BEGAN, duration=timedelta(0), error=error)


FAILED, TAKEN = result(DeliveryError.HTTP_5XX), result(None)


def reason(health: Health, at: datetime) -> DisabledReason | None:
    return health.reason_to_disable(FAILED, now=at)


@pytest.fixture
async def member(session: AsyncSession, project: Project) -> User:
    return await make_user(session, projects=[project])


@pytest.fixture
async def endpoint(session: AsyncSession, project: Project, member: User) -> WebhookEndpoint:
    return (await make_endpoint(session, project=project, created_by=member, url=URL))[0]


async def reasons(session: AsyncSession) -> set[tuple[bool, str | None]]:
    rows = await session.execute(select(WebhookEndpoint.enabled, WebhookEndpoint.disabled_reason))
    return {(row.enabled, row.disabled_reason) for row in rows}


async def test_endpoint_of_a_member_who_is_removed_is_disabled(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    member: User,
    endpoint: WebhookEndpoint,
) -> None:
    elsewhere = await make_project(session)
    await administration.add_member(session, project_id=elsewhere.id, user_id=member.id)
    kept, _ = await make_endpoint(session, project=elsewhere, created_by=member, url=URL)
    delivery = await make_delivery(session, endpoint)

    async with unit_of_work(sessions) as own:
        await administration.remove_member(own, project_id=project.id, user_id=member.id)

    assert await reasons(session) == {(False, "creator_left"), (True, None)}
    assert await session.scalar(select(WebhookEndpoint.enabled).where(WebhookEndpoint.id == kept.id))
    status = select(WebhookEndpointDelivery.status).where(WebhookEndpointDelivery.id == delivery.id)
    assert await session.scalar(status) == DeliveryStatus.CANCELLED


@pytest.mark.usefixtures("endpoint")
async def test_endpoint_of_an_account_that_is_closed_is_disabled_and_no_push_is_sent(
    session: AsyncSession, sessions: SessionFactory, member: User
) -> None:
    await make_device(session, user=member)

    async with unit_of_work(sessions) as own:
        await administration.deactivate_user(own, member.id)

    assert await reasons(session) == {(False, "creator_deactivated")}
    assert await session.scalar(select(Notification.id)) is None


async def test_endpoint_is_logged_as_disabled_once_it_is(
    sessions: SessionFactory,
    project: Project,
    member: User,
    endpoint: WebhookEndpoint,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: the log named endpoints that a failed transaction had left enabled."""
    for transaction, logged in ((rolled_back, 0), (unit_of_work, 1)):
        async with transaction(sessions) as own:
            await administration.remove_member(own, project_id=project.id, user_id=member.id)
        assert caplog.text.count("webhook.endpoint_disabled") == logged
    assert str(endpoint.id) in caplog.text


@pytest.mark.usefixtures("endpoint")
async def test_push_names_the_host_and_not_the_path(
    session: AsyncSession, sessions: SessionFactory, project: Project, member: User
) -> None:
    await make_device(session, user=member)

    async with unit_of_work(sessions) as own:
        await administration.remove_member(own, project_id=project.id, user_id=member.id)

    body = await session.scalar(select(Notification.body))
    assert body == 'The webhook endpoint "hooks.example.com" was disabled'


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("reason", [DisabledReason.CREATOR_LEFT, DisabledReason.CREATOR_DEACTIVATED])
async def test_sweep_finds_those_that_were_left_enabled(
    session: AsyncSession, sessions: SessionFactory, member: User, reason: DisabledReason
) -> None:
    if reason is DisabledReason.CREATOR_LEFT:
        await session.execute(delete(Membership).where(Membership.user_id == member.id))
    else:
        await session.execute(update(User).where(User.id == member.id).values(is_active=False))

    async with unit_of_work(sessions) as own:
        assert await disable_orphaned(own) == 1
        assert await disable_orphaned(own) == 0

    assert await reasons(session) == {(False, reason.value)}


@pytest.mark.usefixtures("endpoint")
async def test_sweep_waits_for_no_endpoint(
    session: AsyncSession, sessions: SessionFactory, member: User
) -> None:
    """Regression: it locked endpoints in no fixed order, so that it and a settlement could wait for each other."""
    await session.execute(delete(Membership).where(Membership.user_id == member.id))
    await session.commit()
    async with unit_of_work(sessions) as settling:
        await settling.execute(select(WebhookEndpoint.id).with_for_update(key_share=True))
        async with unit_of_work(sessions) as own:
            assert await disable_orphaned(own) == 0
    async with unit_of_work(sessions) as own:
        assert await disable_orphaned(own) == 1


async def test_old_deliveries_go_unless_they_are_pending(
    session: AsyncSession, endpoint: WebhookEndpoint
) -> None:
    old = utcnow() - timedelta(days=31)
    pending = await make_delivery(session, endpoint, created_at=old)
    recent = await make_delivery(session, endpoint, status="delivered")
    await make_delivery(session, endpoint, status="delivered", created_at=old)

    assert await prune_deliveries(session, kept=timedelta(days=30)) == 1

    left = set(await session.scalars(select(WebhookEndpointDelivery.id)))
    assert left == {pending.id, recent.id}


async def test_operators_list_test_and_repeat(
    session: AsyncSession, sessions: SessionFactory, project: Project, endpoint: WebhookEndpoint
) -> None:
    failed = await make_delivery(session, endpoint, status="failed", attempts=10)
    async with unit_of_work(sessions) as own:
        (listed,) = await webhook_administration.list_all(own, project_id=project.id)
        assert (listed["id"], listed["failed"], listed["pending"]) == (endpoint.id, 1, 0)
        assert not any("secret" in name for name in listed)
        assert await webhook_administration.list_all(own, project_id=project.id + 1) == []
        await webhook_administration.ping(own, endpoint.id)
        assert await webhook_administration.redeliver(own, failed.id) == failed.id
    async with unit_of_work(sessions) as own:
        (listed,) = await webhook_administration.list_all(own, project_id=None)
        assert (listed["failed"], listed["pending"]) == (0, 2)
        for repeat in (webhook_administration.ping, webhook_administration.redeliver):
            with pytest.raises(NotFound):
                await repeat(own, new_id())


def test_five_days_without_success_are_reason_only_once_a_message_is_given_up() -> None:
    late = BEGAN + timedelta(days=5)
    failing = FRESH.after(FAILED, now=BEGAN, exhausted=False)
    assert reason(failing.after(FAILED, now=late, exhausted=False), late) is None

    given_up = failing.after(FAILED, now=BEGAN + timedelta(days=4), exhausted=True)
    early = late - timedelta(seconds=1)
    assert reason(given_up.after(FAILED, now=early, exhausted=False), early) is None
    assert reason(given_up.after(FAILED, now=late, exhausted=False), late) is DisabledReason.NO_SUCCESS


def test_success_makes_all_failures_before_it_count_no_more() -> None:
    given_up = FRESH.after(FAILED, now=BEGAN, exhausted=True)
    taken = given_up.after(TAKEN, now=BEGAN + timedelta(days=4), exhausted=False)
    assert taken == Health(BEGAN + timedelta(days=4), BEGAN, 0, None, has_exhausted=False, blocked_in_a_row=0)

    failing = taken.after(FAILED, now=BEGAN + timedelta(days=6), exhausted=True)

    assert reason(failing, BEGAN + timedelta(days=6)) is None
    assert reason(failing, BEGAN + timedelta(days=11)) is DisabledReason.NO_SUCCESS


def test_blocked_addresses_count_in_a_row() -> None:
    blocked = result(DeliveryError.BLOCKED_ADDRESS)
    health = FRESH
    for _ in range(19):
        health = health.after(blocked, now=BEGAN, exhausted=False)
    assert reason(health, BEGAN) is None
    again = health.after(FAILED, now=BEGAN, exhausted=False).after(blocked, now=BEGAN, exhausted=False)
    assert reason(again, BEGAN) is None
    twentieth = health.after(blocked, now=BEGAN, exhausted=False)
    assert reason(twentieth, BEGAN) is DisabledReason.BLOCKED_ADDRESS
