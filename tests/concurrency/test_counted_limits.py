"""What a user has may not pass its limit: who counts it holds the lock on the user's row."""

import re
from pathlib import Path

from sqlalchemy import func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory
from app.errors import InvalidInput
from app.ids import new_id
from app.models import ApiKey, ConsoleSession, Project, Task, TaskPin, User
from app.schemas.console import SignIn
from app.security.secrets import hash_api_key
from app.services.accounts.console_sessions import MAX_SESSIONS, SESSION_LIFETIME, Browser, open_session
from app.services.tasks import pins
from app.services.tasks.pins import set_pin
from tests.concurrency.races import race
from tests.support.factories import make_copies, make_key, make_task
from tests.support.principals import member_of

_SERVICES = Path(pins.__file__).parents[1]
_REFUSES = re.compile(r'code="max_length"|raise Throttled\(')
_LOCKS = re.compile(r"lock_user\(|with_for_update\(|pg_advisory_xact_lock\(")


def test_module_that_counts_rows_against_a_limit_takes_a_lock() -> None:
    texts = {str(path): path.read_text(encoding="utf-8") for path in _SERVICES.rglob("*.py")}
    counting = {name for name, text in texts.items() if "func.count()" in text and _REFUSES.search(text)}
    assert pins.__file__ in counting
    assert [name for name in counting if not _LOCKS.search(texts[name])] == []


async def test_of_two_last_pins_one_is_refused(
    sessions: SessionFactory, session: AsyncSession, project: Project, owner: User
) -> None:
    """Regression: each counted the pins without that of the other."""
    first = await make_task(session, project=project, created_by=owner)
    await make_copies(session, first, 500)
    ids = list(await session.scalars(select(Task.id)))
    copies = select(literal(owner.id), Task.id).where(Task.id.in_(ids[2:]))
    await session.execute(insert(TaskPin).from_select(["user_id", "task_id"], copies))
    await session.commit()
    caller = member_of(project, owner)

    async def pin(one: AsyncSession, index: int) -> bool:
        try:
            await set_pin(one, caller, ids[index], pinned=True)
        except InvalidInput:
            return False
        return True

    assert await race(sessions, lambda one: pin(one, 0), lambda one: pin(one, 1)) == (True, False)
    assert await session.scalar(select(func.count()).select_from(TaskPin)) == 500


async def test_two_sign_ins_at_once_leave_no_more_sessions_than_a_key_may_have(
    sessions: SessionFactory, session: AsyncSession, owner: User
) -> None:
    """Regression: both ended the same session, the one used least recently."""
    now = utcnow()
    # Noting the use of a key locks its row.
    key = await make_key(session, user=owner, last_used_at=now)
    opened = {
        "key_id": await session.scalar(select(ApiKey.id).where(ApiKey.secret_hash == hash_api_key(key))),
        "created_at": now,
        "last_used_at": now,
        "expires_at": now + SESSION_LIFETIME,
        "user_agent": "",
        "address": "",
    }
    rows = [{"id": new_id(), "secret_hash": f"{number}", **opened} for number in range(MAX_SESSIONS)]
    await session.execute(insert(ConsoleSession), rows)
    await session.commit()

    async def sign_in(one: AsyncSession) -> None:
        await open_session(one, SignIn.model_validate({"api_key": key}), Browser("", ""))

    await race(sessions, sign_in, sign_in)
    assert await session.scalar(select(func.count()).select_from(ConsoleSession)) == MAX_SESSIONS
