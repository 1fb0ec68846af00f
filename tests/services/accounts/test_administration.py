"""Organizations, projects, members and users, made and unmade by an operator."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import OriginProduct
from app.errors import AuthenticationFailed, InvalidInput, NotFound
from app.ids import new_id
from app.models import ApiKey, Membership, Organization, Project, Task, TaskCounter, User
from app.models.tasks import EVERYONE
from app.services.access.authentication import authenticate
from app.services.accounts import administration
from tests.concurrency.races import race
from tests.support.factories import make_key, make_organization, make_project, make_task, make_user

UNKNOWN_ID = 2**62


async def current_project(session: AsyncSession, user: User) -> int | None:
    return await session.scalar(select(User.current_project_id).where(User.id == user.id))


async def members(session: AsyncSession, project: Project) -> list[int]:
    rows = await session.scalars(select(Membership.user_id).where(Membership.project_id == project.id))
    return sorted(rows)


async def test_project_gets_token_and_task_counter(session: AsyncSession) -> None:
    organization = await administration.create_organization(session, " Acme ")

    project = await administration.create_project(session, "Site", organization_id=organization.id)

    assert organization.name == "Acme"
    assert project.organization_id == organization.id
    assert project.api_token.startswith("phc_")
    counter = await session.scalar(
        select(TaskCounter.next_number).where(TaskCounter.project_id == project.id)
    )
    assert counter == 0


async def test_project_without_organization_goes_to_the_default_one(session: AsyncSession) -> None:
    await make_organization(session, name="Older and named by somebody")

    first = await administration.create_project(session, "One")
    second = await administration.create_project(session, "Two")

    organization = await session.get_one(Organization, first.organization_id)
    assert organization.name == administration.DEFAULT_ORGANIZATION
    assert second.organization_id == first.organization_id


async def test_concurrent_projects_share_one_default_organization(
    sessions: SessionFactory,
) -> None:
    async def create(name: str) -> UUID:
        async with unit_of_work(sessions) as session:
            return (await administration.create_project(session, name)).organization_id

    organizations = await asyncio.gather(*(create(f"Project {number}") for number in range(5)))

    assert len(set(organizations)) == 1


async def test_project_of_unknown_organization_is_refused(session: AsyncSession) -> None:
    name = f"Site {new_id()}"
    with pytest.raises(NotFound, match=r"Organization .* does not exist"):
        await administration.create_project(session, name, organization_id=new_id())

    assert await session.scalar(select(Project.id).where(Project.name == name)) is None


async def test_rename_changes_one_project(session: AsyncSession) -> None:
    project, other = await make_project(session, name="Old"), await make_project(session, name="Other")

    renamed = await administration.update_project(session, project.id, name="New")

    assert (renamed.id, renamed.name) == (project.id, "New")
    names = await session.scalars(select(Project.name).where(Project.id == other.id))
    assert names.all() == ["Other"]


async def test_new_user_belongs_to_the_projects_and_the_first_is_current(session: AsyncSession) -> None:
    second, first = await make_project(session), await make_project(session)

    user = await administration.create_user(
        session,
        "ada@example.com",
        first_name=" Ada ",
        is_staff=True,
        project_ids=[first.id, second.id, first.id],
    )

    assert await current_project(session, user) == first.id
    assert await members(session, first) == await members(session, second) == [user.id]
    assert user.distinct_id == str(user.uuid)
    assert (user.first_name, user.last_name) == ("Ada", "")
    assert (user.is_active, user.is_staff) == (True, True)


async def test_user_without_projects_has_no_current_one(session: AsyncSession) -> None:
    user = await administration.create_user(session, "ada@example.com")

    assert await current_project(session, user) is None
    assert user.is_staff is False


async def test_address_is_taken_in_any_letter_case(session: AsyncSession) -> None:
    project = await make_project(session)
    await administration.create_user(session, "Ada@Example.com")

    with pytest.raises(InvalidInput, match="exists already") as refused:
        await administration.create_user(session, "aDA@eXAMPLE.com", project_ids=[project.id])

    assert refused.value.attr == "email"
    assert await members(session, project) == []


async def test_one_of_two_concurrent_users_with_one_address_is_refused(
    sessions: SessionFactory,
) -> None:
    async def create(email: str) -> int:
        async with unit_of_work(sessions) as session:
            return (await administration.create_user(session, email)).id

    outcomes = await asyncio.gather(
        create("ada@example.com"), create("ADA@example.com"), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, int)] == [InvalidInput]


async def test_user_of_unknown_project_is_refused(session: AsyncSession) -> None:
    project = await make_project(session)

    with pytest.raises(NotFound, match=f"Project {UNKNOWN_ID} does not exist"):
        await administration.create_user(session, "ada@example.com", project_ids=[project.id, UNKNOWN_ID])


async def test_more_projects_than_one_statement_should_name_are_refused(session: AsyncSession) -> None:
    with pytest.raises(InvalidInput, match="no more than 100"):
        await administration.create_user(session, "ada@example.com", project_ids=range(1, 102))


async def test_new_member_without_current_project_gets_it(session: AsyncSession) -> None:
    project, user = await make_project(session), await make_user(session)

    await administration.add_member(session, project_id=project.id, user_id=user.id)
    await administration.add_member(session, project_id=project.id, user_id=user.id)

    assert await members(session, project) == [user.id]
    assert await current_project(session, user) == project.id


async def test_new_member_keeps_current_project(session: AsyncSession) -> None:
    project, another = await make_project(session), await make_project(session)
    user = await make_user(session, projects=[project])

    await administration.add_member(session, project_id=another.id, user_id=user.id)

    assert await members(session, another) == [user.id]
    assert await current_project(session, user) == project.id


async def test_removed_member_goes_on_in_another_project_if_there_is_one(session: AsyncSession) -> None:
    """`@current` was unknown to them, though other projects were left."""
    project, another = await make_project(session), await make_project(session)
    user = await make_user(session, projects=[project, another])
    colleague = await make_user(session, projects=[project])

    await administration.remove_member(session, project_id=project.id, user_id=user.id)
    await administration.remove_member(session, project_id=project.id, user_id=user.id)

    assert await members(session, project) == [colleague.id]
    assert await members(session, another) == [user.id]
    assert await current_project(session, user) == another.id
    assert await current_project(session, colleague) == project.id

    await administration.remove_member(session, project_id=another.id, user_id=user.id)

    assert await current_project(session, user) is None


async def test_removals_at_once_leave_no_current_project(
    sessions: SessionFactory, session: AsyncSession
) -> None:
    project, another = await make_project(session), await make_project(session)
    user = await make_user(session, projects=[project, another])

    def remove(of: Project) -> Callable[[AsyncSession], Awaitable[None]]:
        return lambda session: administration.remove_member(session, project_id=of.id, user_id=user.id)

    await race(sessions, remove(project), remove(another))

    assert await current_project(session, user) is None


async def test_removal_from_another_project_keeps_the_current_one(session: AsyncSession) -> None:
    project, another = await make_project(session), await make_project(session)
    user = await make_user(session, projects=[project, another])

    await administration.remove_member(session, project_id=another.id, user_id=user.id)

    assert await current_project(session, user) == project.id


async def test_deactivated_user_keeps_data_but_keys_stop(session: AsyncSession) -> None:
    project = await make_project(session)
    user = await make_user(session, projects=[project])
    key = await make_key(session, user=user)
    task = await make_task(session, project=project, created_by=user)
    assert (await authenticate(session, key, place="test")).user_id == user.id

    await administration.deactivate_user(session, user.id)
    await administration.deactivate_user(session, user.id)

    with pytest.raises(AuthenticationFailed):
        await authenticate(session, key, place="test")
    assert await session.scalar(select(Task.created_by_id).where(Task.id == task.id)) == user.id
    assert await members(session, project) == [user.id]


async def test_deleted_user_leaves_tasks_to_the_project(session: AsyncSession) -> None:
    project = await make_project(session)
    user = await make_user(session, projects=[project])
    await make_key(session, user=user)
    keys = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user.id)
    assert await session.scalar(keys) == 1
    task = await make_task(
        session, project=project, created_by=user, origin_product=OriginProduct.USER_CREATED
    )

    await administration.delete_user(session, user.id)

    left = (await session.execute(select(Task.created_by_id, Task.audience).where(Task.id == task.id))).one()
    assert left == (None, EVERYONE)
    assert await members(session, project) == []
    assert await session.scalar(keys) == 0
    with pytest.raises(NotFound):
        await administration.delete_user(session, user.id)


async def test_unknown_user_or_project_is_named(session: AsyncSession) -> None:
    project, user = await make_project(session), await make_user(session)
    unknown_user, unknown_project = f"User {UNKNOWN_ID} does", f"Project {UNKNOWN_ID} does"

    with pytest.raises(NotFound, match=unknown_user):
        await administration.deactivate_user(session, UNKNOWN_ID)
    with pytest.raises(NotFound, match=unknown_user):
        await administration.add_member(session, project_id=project.id, user_id=UNKNOWN_ID)
    with pytest.raises(NotFound, match=unknown_user):
        await administration.remove_member(session, project_id=project.id, user_id=UNKNOWN_ID)
    with pytest.raises(NotFound, match=unknown_project):
        await administration.add_member(session, project_id=UNKNOWN_ID, user_id=user.id)
    with pytest.raises(NotFound, match=unknown_project):
        await administration.remove_member(session, project_id=UNKNOWN_ID, user_id=user.id)
    with pytest.raises(NotFound, match=unknown_project):
        await administration.update_project(session, UNKNOWN_ID, name="Name")
