"""Endpoints of people who leave are disabled with the reason, and operators reach every endpoint."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import DeliveryStatus, DisabledReason
from app.errors import NotFound
from app.ids import new_id
from app.models import Membership, Notification, Project, User, WebhookEndpoint, WebhookEndpointDelivery
from app.services.accounts import administration
from app.services.webhook_endpoints import admin
from app.services.webhook_endpoints.deliveries import prune_deliveries
from app.services.webhook_endpoints.disabling import disable_orphaned
from tests.support.devices import make_device
from tests.support.factories import make_project, make_user
from tests.support.webhooks import make_delivery, make_endpoint

URL = "https://hooks.example.com/a-secret-path"


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
        (listed,) = await admin.list_all(own, project_id=project.id)
        assert (listed["id"], listed["failed"], listed["pending"]) == (endpoint.id, 1, 0)
        assert not any("secret" in name for name in listed)
        assert await admin.list_all(own, project_id=project.id + 1) == []
        await admin.ping(own, endpoint.id)
        assert await admin.redeliver(own, failed.id) == failed.id
    async with unit_of_work(sessions) as own:
        (listed,) = await admin.list_all(own, project_id=None)
        assert (listed["failed"], listed["pending"]) == (0, 2)
        for repeat in (admin.ping, admin.redeliver):
            with pytest.raises(NotFound):
                await repeat(own, new_id())
