"""Console sessions: sign a browser in by API key or login link; show, list and end sessions (contract 17)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import ColumnElement, any_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared, count_changed, row_of, rows_of
from app.db.sweeping import delete_batch
from app.errors import InvalidInput, NotFound, SessionEnded
from app.ids import new_id
from app.models import ApiKey, ConsoleSession, Project, PushToken, User
from app.models.devices.push_tokens import HAS_ADDRESS
from app.schemas.console import ConsoleSessionList, ConsoleSessionOut, SessionProject, SignIn
from app.security.secrets import hash_session_secret, new_session_secret
from app.services.access.authentication import (
    IS_OPEN_SESSION,
    IS_VALID_KEY,
    SESSION_IDLE,
    authenticate,
    authenticate_session,
)
from app.services.access.principal import Principal
from app.services.access.user_lock import lock_user
from app.services.access.visibility import VISIBLE_PROJECTS, visibility_anywhere
from app.services.notifications.devices import session_device
from app.services.views.users import CREATOR_COLUMNS, Creator, user_basic

SESSION_LIFETIME = timedelta(days=30)
CODE_LIFETIME = timedelta(seconds=60)
# The most sessions of one API key; a sign-in ends the one used least recently.
MAX_SESSIONS = 50


@dataclass(frozen=True, slots=True)
class Browser:
    address: str
    user_agent: str


async def open_session(
    session: AsyncSession, body: SignIn, browser: Browser
) -> tuple[ConsoleSessionOut, str]:
    """Sign a browser in to the console; return the new console session, and the secret value of its cookie."""
    secret = new_session_secret()
    if body.api_key is not None:
        key = await authenticate(session, body.api_key, place="body")
        assert key.key_id is not None
        session.add(ConsoleSession(id=new_id(), key_id=key.key_id, **_opened_by(browser, secret)))
        await session.flush()
    else:
        assert body.code is not None
        await _use_code(session, body.code, browser, secret)
    caller = await authenticate_session(session, secret)
    assert caller.session_id is not None
    session.add(session_device(caller.session_id, caller.user_id))
    await _evict(session, caller)
    return await show_session(session, caller), secret


async def _evict(session: AsyncSession, caller: Principal) -> None:
    await lock_user(session, caller.user_id)
    surplus = (
        select(ConsoleSession.id)
        .where(
            ConsoleSession.key_id == caller.key_id,
            ConsoleSession.id != caller.session_id,
            ConsoleSession.secret_hash.is_not(None),
        )
        .order_by(ConsoleSession.last_used_at.desc(), ConsoleSession.id.desc())
        .offset(MAX_SESSIONS - 1)
    )
    await _delete_sessions(session, ConsoleSession.id.in_(surplus))


async def _delete_sessions(session: AsyncSession, *which: ColumnElement[bool]) -> bool:
    ended = await session.scalars(delete(ConsoleSession).where(*which).returning(ConsoleSession.id))
    ids = ended.all()
    if ids:
        await session.execute(delete(PushToken).where(PushToken.id.in_(ids), ~HAS_ADDRESS))
    return bool(ids)


def _opened_by(browser: Browser, secret: str) -> dict[str, object]:
    now = utcnow()
    return {
        "secret_hash": hash_session_secret(secret),
        "created_at": now,
        "last_used_at": now,
        "expires_at": now + SESSION_LIFETIME,
        "user_agent": browser.user_agent,
        "address": browser.address,
    }


async def _use_code(session: AsyncSession, code: str, browser: Browser, secret: str) -> None:
    # One statement, so that the second of two browsers finds no such code.
    opened = (
        update(ConsoleSession)
        .where(ConsoleSession.code_hash == hash_session_secret(code), ConsoleSession.expires_at > utcnow())
        .values(code_hash=None, **_opened_by(browser, secret))
    )
    if not await count_changed(session, opened):
        raise SessionEnded("This login link was used already, or is too old.")


async def create_login_code(session: AsyncSession, key_id: UUID) -> str:
    """Return the code of a new login link. Within a minute, it can open one console session for the API key."""
    now = utcnow()
    key = await row_of(session, select(ApiKey.revoked_at, ApiKey.expires_at).where(ApiKey.id == key_id))
    if key is None:
        raise NotFound(f"Key {key_id} does not exist.")
    revoked_at, expires_at = key
    if revoked_at is not None or (expires_at is not None and expires_at <= now):
        raise InvalidInput(f"Key {key_id} is revoked or expired.", attr="key")
    code = new_session_secret()
    session.add(
        ConsoleSession(
            id=new_id(),
            key_id=key_id,
            code_hash=hash_session_secret(code),
            created_at=now,
            last_used_at=now,
            expires_at=now + CODE_LIFETIME,
            user_agent="",
            address="",
        )
    )
    await session.flush()
    return code


class _Current(NamedTuple):
    created_at: datetime
    expires_at: datetime
    creator: Creator


async def show_session(session: AsyncSession, caller: Principal) -> ConsoleSessionOut:
    statement = (
        select(ConsoleSession.created_at, ConsoleSession.expires_at, *CREATOR_COLUMNS)
        .join(User, User.id == caller.user_id)
        .where(ConsoleSession.id == caller.session_id)
    )
    row = await row_of(session, statement, _Current)
    if row is None:
        raise SessionEnded
    assert caller.session_id is not None
    return {
        "id": caller.session_id,
        "user": user_basic(row.creator),
        "projects": await _projects(session, caller),
        "scopes": sorted(caller.scopes),
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }


async def _projects(session: AsyncSession, caller: Principal) -> list[SessionProject]:
    rows = await _PROJECTS.all(session, visibility_anywhere(caller))
    return [{"id": id_, "name": name, "organization": organization} for id_, name, organization in rows]


_PROJECTS = Prepared(
    select(Project.id, Project.name, Project.organization_id)
    .where(Project.id == any_(VISIBLE_PROJECTS))
    .order_by(Project.id)
)


class _Session(NamedTuple):
    id: UUID
    created_at: datetime
    last_used_at: datetime
    user_agent: str
    address: str


_LISTED = [getattr(ConsoleSession, name) for name in _Session._fields]


async def list_sessions(session: AsyncSession, caller: Principal) -> ConsoleSessionList:
    """Return the open console sessions of all the caller's API keys, the most recently used first."""
    statement = (
        select(*_LISTED)
        .join(ApiKey, ApiKey.id == ConsoleSession.key_id)
        .where(
            ApiKey.user_id == caller.user_id,
            *IS_VALID_KEY,
            ConsoleSession.secret_hash.is_not(None),
            *IS_OPEN_SESSION,
        )
        .order_by(ConsoleSession.last_used_at.desc(), ConsoleSession.id.desc())
    )
    rows = await rows_of(session, statement, _Session, {"now": utcnow()})
    shown = [{**row._asdict(), "current": row.id == caller.session_id} for row in rows]
    return cast("ConsoleSessionList", {"results": shown})


async def end_current(session: AsyncSession, caller: Principal) -> None:
    """End the console session that authenticated this request."""
    assert caller.session_id is not None
    await end_session(session, caller, caller.session_id)


async def end_session(session: AsyncSession, caller: Principal, session_id: UUID) -> None:
    """End one of the caller's console sessions: delete it, with its device."""
    own = select(ApiKey.id).where(ApiKey.user_id == caller.user_id)
    if not await _delete_sessions(session, ConsoleSession.id == session_id, ConsoleSession.key_id.in_(own)):
        raise NotFound


async def sweep_sessions(session: AsyncSession) -> int:
    """Delete a batch of expired console sessions and login links; return how many. Their devices are swept later."""
    now = utcnow()
    expired = or_(ConsoleSession.expires_at <= now, ConsoleSession.last_used_at <= now - SESSION_IDLE)
    return await delete_batch(session, ConsoleSession, expired)
