"""The sign-ins of terminals that wait for a person."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Throttled
from app.models import Project, User
from app.services.access.authentication import authenticate
from app.services.accounts import terminal_logins
from tests.support.factories import make_key

_BASE = "https://tasks.example"


@pytest.mark.parametrize("is_approved", [True, False])
async def test_decided_sign_in_makes_room_for_another(
    session: AsyncSession, project: Project, owner: User, is_approved: bool
) -> None:
    """Regression: it counted as one that waits until its code was too old."""
    caller = await authenticate(session, await make_key(session, user=owner), place="")

    async def begin() -> str:
        return (await terminal_logins.begin_login(session, "laptop", "192.0.2.1", base=_BASE))["user_code"]

    codes = [await begin() for _ in range(100)]
    with pytest.raises(Throttled):
        await begin()
    if is_approved:
        await terminal_logins.approve_login(session, caller, codes[0], project.id)
    else:
        await terminal_logins.deny_login(session, codes[0])
    await begin()
    with pytest.raises(Throttled):
        await begin()
