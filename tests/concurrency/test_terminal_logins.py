"""What happens to one terminal at the same time: decisions about its sign-in (contract 21), and its first beats."""

from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.errors import LoginRefused, NotFound, Throttled
from app.models import ApiKey, Project, PushToken, User
from app.security.secrets import hash_api_key
from app.services.access.authentication import authenticate
from app.services.accounts import terminal_logins
from app.services.notifications.presence import keep_terminal
from tests.concurrency.races import perform, race
from tests.support.factories import make_key

_BASE = "https://tasks.example"


async def test_one_of_two_decides_and_one_of_two_gets_the_key(
    sessions: SessionFactory, session: AsyncSession, project: Project, owner: User
) -> None:
    key = await make_key(session, user=owner)
    await session.commit()
    begun = await perform(sessions, lambda one: terminal_logins.begin_login(one, "laptop", "", base=_BASE))
    device, code = begun["device_code"], begun["user_code"]

    async def approve(one: AsyncSession) -> None:
        caller = await authenticate(one, key, place="")
        await terminal_logins.approve_login(one, caller, code, project.id)

    async def deny(one: AsyncSession) -> str:
        try:
            await terminal_logins.deny_login(one, code)
        except NotFound as error:
            return error.code
        return "denied"

    assert await race(sessions, approve, deny) == (None, "not_found")

    async def fetch(one: AsyncSession) -> str:
        try:
            return (await terminal_logins.fetch_key(one, device))["api_key"]
        except LoginRefused as error:
            return error.code

    value, second = await race(sessions, fetch, fetch)
    assert second == "expired_token"
    hashes = await session.scalars(select(ApiKey.secret_hash).where(ApiKey.label == "laptop"))
    assert list(hashes) == [hash_api_key(value)]


async def test_one_of_two_first_beats_adds_the_terminal(
    sessions: SessionFactory, session: AsyncSession, owner: User
) -> None:
    key = await make_key(session, user=owner)
    await session.commit()
    terminal = uuid4()

    async def beat(one: AsyncSession) -> None:
        await keep_terminal(one, await authenticate(one, key, place=""), terminal)

    await race(sessions, beat, beat)
    assert list(await session.scalars(select(PushToken.id))) == [terminal]


async def test_sign_ins_at_the_same_time_do_not_exceed_the_limit_of_their_address(
    sessions: SessionFactory,
) -> None:
    async def begin(one: AsyncSession) -> str:
        try:
            await terminal_logins.begin_login(one, "laptop", "192.0.2.1", base=_BASE)
        except Throttled as error:
            return error.code
        return "begun"

    async def begin_99(one: AsyncSession) -> None:
        for _ in range(99):
            await begin(one)

    await perform(sessions, begin_99)
    assert await race(sessions, begin, begin) == ("begun", "throttled")
