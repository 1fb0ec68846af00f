"""Visibility of sandbox environments for runs, and of webhook endpoints for callers (contract 5.8 step 7, 14)."""

from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFound
from app.models import Membership, Project, SandboxEnvironment, User, WebhookEndpoint
from app.services.access.authentication import authenticate
from app.services.access.principal import Principal
from app.services.access.visibility import (
    own_endpoint,
    own_endpoints,
    require_endpoint,
    usable_environment,
    visible_environment,
)
from tests.support.factories import make_key, make_project, make_sandbox_environment, make_user
from tests.support.webhooks import make_endpoint


@dataclass(frozen=True, slots=True)
class Environments:
    """One sandbox environment per kind: two of the project, one private to another member, one elsewhere."""

    shared: UUID
    own: UUID
    another_members: UUID
    ownerless: UUID
    elsewhere: UUID


@pytest.fixture
async def person(session: AsyncSession, project: Project) -> User:
    return await make_user(session, projects=[project])


@pytest.fixture
async def environments(session: AsyncSession, project: Project, person: User) -> Environments:
    another, elsewhere = await make_user(session, projects=[project]), await make_project(session)
    shared = await make_sandbox_environment(session, project=project, created_by=another, private=False)
    own = await make_sandbox_environment(session, project=project, created_by=person)
    another_members = await make_sandbox_environment(session, project=project, created_by=another)
    ownerless = await make_sandbox_environment(session, project=project, created_by=None)
    away = await make_sandbox_environment(session, project=elsewhere, created_by=person, private=False)
    return Environments(shared.id, own.id, another_members.id, ownerless.id, away.id)


async def principal_of(session: AsyncSession, user: User, project: Project) -> Principal:
    secret = await make_key(session, user=user)
    return await authenticate(session, secret, place="", project=project.id)


async def usable(session: AsyncSession, project: Project, person_id: int | None) -> set[UUID]:
    found = select(SandboxEnvironment.id).where(usable_environment(project.id, person_id))
    return set(await session.scalars(found))


async def test_run_may_use_shared_environments_and_its_persons_own(
    session: AsyncSession, project: Project, person: User, environments: Environments
) -> None:
    assert await usable(session, project, person.id) == {environments.shared, environments.own}


async def test_run_that_acts_as_no_person_may_use_shared_environments_only(
    session: AsyncSession, project: Project, environments: Environments
) -> None:
    assert await usable(session, project, None) == {environments.shared}


async def test_persons_own_environment_is_lost_with_membership(
    session: AsyncSession, project: Project, person: User, environments: Environments
) -> None:
    await session.execute(delete(Membership).where(Membership.user_id == person.id))

    assert await usable(session, project, person.id) == {environments.shared}


async def test_persons_own_environment_is_lost_while_the_account_is_inactive(
    session: AsyncSession, project: Project, person: User, environments: Environments
) -> None:
    await session.execute(update(User).where(User.id == person.id).values(is_active=False))

    assert await usable(session, project, person.id) == {environments.shared}


async def test_caller_sees_the_environments_that_their_runs_may_use(
    session: AsyncSession, project: Project, person: User, environments: Environments
) -> None:
    caller = await principal_of(session, person, project)

    seen = await session.scalars(select(SandboxEnvironment.id).where(visible_environment(caller)))

    assert set(seen) == {environments.shared, environments.own}


async def test_webhook_endpoints_are_their_creators_in_their_project(
    session: AsyncSession, project: Project, person: User
) -> None:
    another, elsewhere = await make_user(session, projects=[project]), await make_project(session)
    url = "https://hooks.example.com/"
    own, _ = await make_endpoint(session, project=project, created_by=person, url=url)
    another_members, _ = await make_endpoint(session, project=project, created_by=another, url=url)
    away, _ = await make_endpoint(session, project=elsewhere, created_by=person, url=url)
    caller = await principal_of(session, person, project)

    listed = await session.scalars(select(WebhookEndpoint.id).where(own_endpoints(caller)))

    assert set(listed) == {own.id}
    await require_endpoint(session, caller, own.id)
    for endpoint in (another_members, away):
        one = select(WebhookEndpoint.id).where(own_endpoint(caller, endpoint.id))
        assert await session.scalar(one) is None
        with pytest.raises(NotFound):
            await require_endpoint(session, caller, endpoint.id)
