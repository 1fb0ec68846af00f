"""Sign in terminals: a person confirms a code in the console, and the terminal fetches a key (contract 21)."""

import re
from datetime import timedelta
from math import ceil

from sqlalchemy import ColumnElement, any_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import count_changed, row_of, rows_of
from app.db.sweeping import delete_batch
from app.enums import Scope
from app.errors import LoginRefused, NotFound, PermissionDenied, Throttled, unknown_key
from app.ids import new_id
from app.models import Project, TerminalLogin, User
from app.schemas.console import PendingLoginOut, TerminalLoginOut, TerminalTokenOut
from app.schemas.users import OwnKeyIn
from app.security.secrets import hash_session_secret, new_session_secret, new_user_code
from app.services.access.authentication import find_holder
from app.services.access.principal import Principal
from app.services.access.scopes import has_scope
from app.services.access.visibility import VISIBLE_PROJECTS, visibility_anywhere
from app.services.accounts.api_keys import LABEL_LENGTH, create_own_key

LIFETIME = timedelta(minutes=10)
_INTERVAL_SECONDS = 2
# The most open sign-ins from one address: the limit of requests does not hold while Redis is away.
_MAX_WAITING = 100
_UNDECIDED = (TerminalLogin.key_id.is_(None), ~TerminalLogin.is_refused)
# The scopes of the key: from each pair, the first that the confirming person has.
_SCOPES = (
    (Scope.TASK_WRITE, Scope.TASK_READ),
    (Scope.WEBHOOK_WRITE, Scope.WEBHOOK_READ),
    (Scope.USER_WRITE, Scope.USER_READ),
    (Scope.PROJECT_READ,),
)


async def begin_login(session: AsyncSession, client: str, address: str, *, base: str) -> TerminalLoginOut:
    """Return the codes of a new sign-in, and where a person confirms it, below the URL `base`. Raises Throttled."""
    # Sign-ins from an address wait for each other, so that the limit holds.
    place = func.hashtextextended(f"terminal_logins:{address}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(place)))
    device_code, user_code = new_session_secret(), new_user_code()
    now = utcnow()
    waiting = select(func.count(), func.min(TerminalLogin.expires_at)).where(
        TerminalLogin.address == address, *_UNDECIDED, TerminalLogin.expires_at > now
    )
    ((number, first_end),) = await rows_of(session, waiting)
    if number >= _MAX_WAITING:
        raise Throttled(ceil((first_end - now).total_seconds()))
    login = TerminalLogin(
        id=new_id(),
        device_hash=hash_session_secret(device_code),
        code_hash=_hash_user_code(user_code),
        client=client,
        address=address,
        created_at=now,
        expires_at=now + LIFETIME,
    )
    session.add(login)
    await session.flush()
    return {
        "device_code": device_code,
        "user_code": user_code,
        "interval": _INTERVAL_SECONDS,
        "verification_uri": f"{base.rstrip('/')}/console/device",
        "expires_in": int(LIFETIME.total_seconds()),
    }


async def fetch_key(session: AsyncSession, device_code: str) -> TerminalTokenOut:
    """Return a new key of the person who confirmed, once. Raises LoginRefused."""
    login = await session.scalar(
        select(TerminalLogin)
        .where(
            TerminalLogin.device_hash == hash_session_secret(device_code),
            TerminalLogin.expires_at > utcnow(),
        )
        .with_for_update()
    )
    if login is None:
        raise LoginRefused("The code is unknown, used or too old.", code="expired_token")
    if login.is_refused:
        raise _denied()
    if login.key_id is None or login.project_id is None:
        raise LoginRefused
    holder = await find_holder(session, login.key_id)
    if holder is None:
        raise _denied()
    label = login.client[:LABEL_LENGTH]
    try:
        key = await create_own_key(session, holder, OwnKeyIn(label=label, scopes=_granted(holder)))
    except PermissionDenied as error:
        # The key of the person who confirmed was revoked at this moment.
        raise _denied() from error
    await session.delete(login)
    user = await session.get_one(User, holder.user_id)
    return {
        "api_key": key["value"],
        "project_id": login.project_id,
        "user": {"id": user.id, "email": user.email},
        "scopes": key["scopes"],
    }


def asks_too_often() -> LoginRefused:
    return LoginRefused("Ask less often.", code="slow_down")


def _denied() -> LoginRefused:
    return LoginRefused("The sign-in was refused.", code="access_denied")


async def show_login(session: AsyncSession, caller: Principal, user_code: str) -> PendingLoginOut:
    """Return which client asks for a key with this code, for a person to decide. Raises NotFound."""
    statement = select(
        TerminalLogin.client, TerminalLogin.address, TerminalLogin.created_at, TerminalLogin.expires_at
    ).where(*_waiting(user_code))
    row = await row_of(session, statement)
    if row is None:
        raise NotFound
    client, address, created_at, expires_at = row
    return {
        "client": client,
        "address": address,
        "created_at": created_at,
        "expires_at": expires_at,
        "scopes": [scope.value for scope in _granted(caller)],
    }


async def approve_login(session: AsyncSession, caller: Principal, user_code: str, project_id: int) -> None:
    """Let the terminal have a key of the caller's user. Raises NotFound unless the code is undecided."""
    own = select(Project.id).where(Project.id == project_id, Project.id == any_(VISIBLE_PROJECTS))
    if await session.scalar(own, visibility_anywhere(caller)) is None:
        raise unknown_key(project_id, attr="project_id")
    await _decide(session, user_code, key_id=caller.key_id, project_id=project_id)


async def deny_login(session: AsyncSession, user_code: str) -> None:
    await _decide(session, user_code, is_refused=True)


async def _decide(session: AsyncSession, user_code: str, **decision: object) -> None:
    # One statement: of two people who decide, the second finds no such code.
    statement = update(TerminalLogin).where(*_waiting(user_code)).values(**decision)
    if not await count_changed(session, statement):
        raise NotFound


def _waiting(user_code: str) -> tuple[ColumnElement[bool], ...]:
    return (
        TerminalLogin.code_hash == _hash_user_code(user_code),
        TerminalLogin.expires_at > utcnow(),
        *_UNDECIDED,
    )


def _granted(caller: Principal) -> list[Scope]:
    found = (next((scope for scope in choices if has_scope(caller, scope)), None) for choices in _SCOPES)
    return [scope for scope in found if scope is not None]


def _hash_user_code(text: str) -> str:
    # People type it in small letters, without the hyphen, with spaces.
    return hash_session_secret(re.sub(r"[^A-Z]", "", text.upper()))


async def sweep_logins(session: AsyncSession) -> int:
    """Delete a batch of sign-ins that were not completed in time; return their number."""
    return await delete_batch(session, TerminalLogin, TerminalLogin.expires_at <= utcnow())
