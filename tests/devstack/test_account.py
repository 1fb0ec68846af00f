"""The developer's account of a stack: made whole at first, a new key where that is refused, kept in between."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.devstack.account import Account, keep_account, read_account
from app.devstack.home import Home
from app.devstack.new_account import make_account
from app.models import User
from app.services.access.authentication import authenticate
from app.services.access.principal import CURRENT_PROJECT
from app.services.accounts.administration import deactivate_user


async def users(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).select_from(User)) or 0


async def test_new_account_is_one_of_a_member_of_its_project(session: AsyncSession) -> None:
    account = await make_account(session, project_id=None, user_id=None)

    caller = await authenticate(session, account.api_key, place="header", project=CURRENT_PROJECT)
    assert (caller.user_id, caller.project.id) == (account.user_id, account.project_id)
    assert (caller.is_member, caller.is_staff, caller.scopes) == (True, True, frozenset({"*"}))


async def test_user_who_is_there_gets_another_key(session: AsyncSession) -> None:
    first = await make_account(session, project_id=None, user_id=None)
    before = await users(session)
    second = await make_account(session, project_id=first.project_id, user_id=first.user_id)

    assert second.api_key != first.api_key
    assert (second.project_id, second.user_id) == (first.project_id, first.user_id)
    assert await users(session) == before


@pytest.mark.parametrize("gone", ["user", "project", "deactivated"])
async def test_account_of_another_database_is_replaced(session: AsyncSession, gone: str) -> None:
    first = await make_account(session, project_id=None, user_id=None)
    if gone == "deactivated":
        await deactivate_user(session, first.user_id)

    second = await make_account(
        session,
        project_id=first.project_id + (gone == "project"),
        user_id=first.user_id + (gone == "user"),
    )

    assert second.user_id != first.user_id
    assert second.project_id != first.project_id
    await authenticate(session, second.api_key, place="header")


def test_account_is_kept_for_the_next_start(home: Home) -> None:
    assert read_account(home) is None

    account = keep_account(home, '{"project_id": 1, "user_id": 2, "api_key": "phx_2"}')

    assert read_account(home) == account == Account(1, 2, "phx_2")


def test_damaged_file_is_no_account(home: Home) -> None:
    home.account_json.write_text('{"project_id": 1}')
    assert read_account(home) is None
