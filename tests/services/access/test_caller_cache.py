"""Callers are remembered for less than a second: whatever changes about them counts within one."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.errors import AuthenticationFailed
from app.models import ApiKey, Membership, Project, User
from app.services.access.authentication import authenticate
from app.services.access.caller_cache import LIFETIME_SECONDS, CallerCache
from app.services.access.principal import Principal
from app.services.accounts import administration, api_keys
from tests.support.database.queries import recorded
from tests.support.factories import make_key, make_user

CALLER = Principal(
    user_id=1,
    is_staff=False,
    key_id=None,
    scopes=frozenset(),
    scoped_teams=(),
    scoped_organizations=(),
    named_project=None,
    is_member=False,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> CallerCache:
    return CallerCache(clock=clock)


Ask = Callable[[], Awaitable[Principal]]


@pytest.fixture
async def member(session: AsyncSession, project: Project) -> User:
    return await make_user(session, projects=[project])


@pytest.fixture
async def secret(session: AsyncSession, member: User) -> str:
    return await make_key(session, user=member)


@pytest.fixture
def ask(session: AsyncSession, project: Project, secret: str, cache: CallerCache) -> Ask:
    async def ask() -> Principal:
        return await authenticate(session, secret, place="", project=project.id, cache=cache)

    return ask


def test_lifetime_is_at_most_one_second() -> None:
    assert 0 < LIFETIME_SECONDS <= 1


async def test_second_request_asks_no_database(ask: Ask, engine: AsyncEngine) -> None:
    first = await ask()
    async with recorded(engine) as statements:
        assert await ask() == first
    assert statements == []


@pytest.mark.parametrize(
    "close",
    [
        lambda session, caller: api_keys.revoke_api_key(session, caller.key_id),
        lambda session, caller: administration.deactivate_user(session, caller.user_id),
    ],
    ids=["key", "account"],
)
async def test_revoked_key_or_closed_account_is_refused_within_a_second(
    ask: Ask, session: AsyncSession, clock: Clock, close: Callable[[AsyncSession, Principal], Awaitable[None]]
) -> None:
    await close(session, await ask())
    clock.now += LIFETIME_SECONDS
    with pytest.raises(AuthenticationFailed):
        await ask()


async def test_other_scopes_and_an_ended_membership_count_within_a_second(
    ask: Ask, session: AsyncSession, member: User, clock: Clock
) -> None:
    first = await ask()
    assert first.is_member
    await session.execute(update(ApiKey).where(ApiKey.id == first.key_id).values(scopes=["task:read"]))
    await session.execute(delete(Membership).where(Membership.user_id == member.id))
    clock.now += LIFETIME_SECONDS
    second = await ask()
    assert second.scopes == {"task:read"}
    assert not second.is_member


async def test_age_counts_from_before_the_database_was_asked(cache: CallerCache, clock: Clock) -> None:
    asked_at = cache.now()
    clock.now += 0.6
    cache.keep("hash", 1, CALLER, asked_at=asked_at)
    assert cache.find("hash", 1) == CALLER
    clock.now += 0.4
    assert cache.find("hash", 1) is None


async def test_caller_is_remembered_for_the_project_they_named(cache: CallerCache) -> None:
    cache.keep("hash", 1, CALLER, asked_at=cache.now())
    assert cache.find("hash", 2) is None
    assert cache.find("hash", None) is None
    assert cache.find("other", 1) is None


async def test_unknown_key_is_not_remembered(
    session: AsyncSession, project: Project, cache: CallerCache
) -> None:
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            await authenticate(session, "phx_x", place="", project=project.id, cache=cache)


def test_what_is_remembered_is_bounded() -> None:
    cache = CallerCache(most=10)
    for number in range(100):
        cache.keep(f"hash{number}", None, CALLER, asked_at=cache.now())
    assert sum(cache.find(f"hash{number}", None) is not None for number in range(100)) <= 10
    assert cache.find("hash99", None) == CALLER
