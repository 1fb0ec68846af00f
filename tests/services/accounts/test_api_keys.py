"""Issuing and revoking personal API keys (contract 2.2, 2.3)."""

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import Scope
from app.errors import AuthenticationFailed, InvalidInput, NotFound
from app.ids import new_id
from app.models import ApiKey
from app.services.access.authentication import authenticate
from app.services.accounts.api_keys import KeyLimits, create_api_key, revoke_api_key
from tests.support.clock import MovableClock
from tests.support.factories import make_organization, make_project, make_user


async def test_issued_key_authenticates_with_its_limits(session: AsyncSession) -> None:
    project, organization = await make_project(session), await make_organization(session)
    user = await make_user(session, projects=[project])

    key = await create_api_key(
        session,
        user_id=user.id,
        scopes=["task:read", "user:read", "task:read"],
        label=" phone ",
        limits=KeyLimits(project_ids=[project.id, project.id], organization_ids=[organization.id]),
    )

    caller = await authenticate(session, key.value, place="test")
    assert caller.user_id == user.id
    assert caller.scopes == {"task:read", "user:read"}
    assert caller.scoped_teams == (project.id,)
    assert caller.scoped_organizations == (organization.id,)
    assert key.scopes == (Scope.TASK_READ, Scope.USER_READ)
    assert key.mask == f"phx_...{key.value[-4:]}"


async def test_value_is_neither_stored_nor_shown_by_accident(session: AsyncSession) -> None:
    user = await make_user(session)

    key = await create_api_key(session, user_id=user.id, scopes=["*"])

    row = (await session.execute(select(*ApiKey.__table__.columns).where(ApiKey.id == key.id))).one()
    assert all(key.value not in str(value) for value in row)
    assert key.value not in repr(key)


@pytest.mark.parametrize(
    ("asked", "is_active", "words"),
    [
        ({"scopes": ["task:read", "task:admin"]}, True, '"task:admin" is not a valid choice'),
        ({"scopes": []}, True, "may not be empty"),
        ({"scopes": ["*"], "label": "x" * 41}, True, "no more than 40 characters"),
        ({"scopes": ["*"]}, False, r"User \d+ is deactivated"),
    ],
)
async def test_key_that_is_asked_for_wrongly_is_refused(
    session: AsyncSession, asked: dict[str, Any], is_active: bool, words: str
) -> None:
    user = await make_user(session, is_active=is_active)

    with pytest.raises(InvalidInput, match=words) as refused:
        await create_api_key(session, user_id=user.id, **asked)

    if "choice" in words:
        assert refused.value.attr == "scope"


async def test_key_for_what_does_not_exist_is_refused(session: AsyncSession) -> None:
    user = await make_user(session)

    with pytest.raises(NotFound, match="User 4611686018427387904 does not exist"):
        await create_api_key(session, user_id=2**62, scopes=["*"])
    with pytest.raises(NotFound, match="Project 4611686018427387904 does not exist"):
        await create_api_key(session, user_id=user.id, scopes=["*"], limits=KeyLimits(project_ids=[2**62]))
    with pytest.raises(NotFound, match=r"Organization .* does not exist"):
        await create_api_key(
            session, user_id=user.id, scopes=["*"], limits=KeyLimits(organization_ids=[new_id()])
        )

    made = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user.id)
    assert await session.scalar(made) == 0


async def test_revoked_key_stops_and_keeps_its_first_time(session: AsyncSession, clock: MovableClock) -> None:
    user = await make_user(session)
    key = await create_api_key(session, user_id=user.id, scopes=["*"])
    other = await create_api_key(session, user_id=user.id, scopes=["*"])
    revoked_at = utcnow()

    await revoke_api_key(session, key.id)
    clock.advance(hours=1)
    await revoke_api_key(session, key.id)

    assert await session.scalar(select(ApiKey.revoked_at).where(ApiKey.id == key.id)) == revoked_at
    with pytest.raises(AuthenticationFailed):
        await authenticate(session, key.value, place="test")
    assert (await authenticate(session, other.value, place="test")).key_id == other.id


async def test_revoking_unknown_key_is_refused(session: AsyncSession) -> None:
    with pytest.raises(NotFound, match=r"Key .* does not exist"):
        await revoke_api_key(session, new_id())
