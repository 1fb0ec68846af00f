"""Authenticate a request: find the `Principal` of an API key, or of the cookie of a console session."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    and_,
    any_,
    bindparam,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared
from app.errors import AuthenticationError, AuthenticationFailed, SessionEnded
from app.models import ApiKey, ConsoleSession, Membership, Project, User
from app.security.secrets import hash_api_key, hash_session_secret
from app.services.access.caller_cache import CallerCache
from app.services.access.principal import CURRENT_PROJECT, Principal, ProjectRef

_LAST_USED_RESOLUTION = timedelta(hours=1)
# A console session ends after this long without use.
SESSION_IDLE = timedelta(days=14)


async def authenticate(
    session: AsyncSession,
    secret: str,
    *,
    place: str,
    project: int | str | None = None,
    cache: CallerCache | None = None,
) -> Principal:
    """Return the principal of an API key; `require_project` checks whether they may use the named project."""
    return await _authenticate(
        session,
        hash_api_key(secret),
        _OF_KEYS,
        project=project,
        cache=cache,
        error=partial(AuthenticationFailed, place),
    )


async def authenticate_session(
    session: AsyncSession,
    secret: str,
    *,
    project: int | str | None = None,
    cache: CallerCache | None = None,
) -> Principal:
    """Return the principal of a console session; `require_project` checks whether they may use the project."""
    return await _authenticate(
        session, hash_session_secret(secret), _OF_SESSIONS, project=project, cache=cache, error=SessionEnded
    )


async def _authenticate(
    session: AsyncSession,
    secret_hash: str,
    statements: "_Statements",
    *,
    project: int | str | None,
    cache: CallerCache | None,
    error: Callable[[], AuthenticationError],
) -> Principal:
    known = cache.find(secret_hash, project) if cache else None
    if known is not None:
        return known
    asked_at = cache.now() if cache else 0.0
    now = utcnow()
    row = await statements.find(session, project, {"secret_hash": secret_hash, "now": now})
    if row is None:
        raise error()
    await _note_use(session, row, now)
    principal = _principal(row)
    if cache:
        cache.keep(secret_hash, project, principal, asked_at=asked_at)
    return principal


class _Caller(NamedTuple):
    # None for a member without a key.
    key_id: UUID | None
    scopes: list[str] | None
    scoped_teams: list[int]
    scoped_organizations: list[UUID]
    last_used_at: datetime | None
    user_id: int
    is_staff: bool
    session_id: UUID | None
    session_used_at: datetime | None
    project: ProjectRef | None
    member_id: int | None


# With the parameter `now`; that the account of the user is active is a condition of its own.
IS_VALID_KEY = (
    ApiKey.revoked_at.is_(None),
    or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > bindparam("now")),
)
IS_OPEN_SESSION = (
    ConsoleSession.expires_at > bindparam("now"),
    ConsoleSession.last_used_at > bindparam("now") - SESSION_IDLE,
)
_CALLER = (
    select(
        ApiKey.id.label("key_id"),
        ApiKey.scopes,
        ApiKey.scoped_teams,
        ApiKey.scoped_organizations,
        ApiKey.last_used_at,
        User.id.label("user_id"),
        User.is_staff,
    )
    .join(User, User.id == ApiKey.user_id)
    .where(*IS_VALID_KEY, User.is_active)
)


class _Statements:
    """The prepared statements that find a caller: with no project, the current one, or one by its id."""

    def __init__(self, caller: Select[*tuple[Any, ...]]) -> None:
        self._anywhere = Prepared(
            caller.add_columns(*(null().label(each.name) for each in _PROJECT)), _Caller
        )
        self._in_project = _in_project(caller, bindparam("project_id", type_=Project.id.type))
        self._in_current = _in_project(caller, User.current_project_id.expression)

    async def find(
        self, session: AsyncSession, project: int | str | None, values: Mapping[str, object]
    ) -> _Caller | None:
        if project is None:
            return await self._anywhere.first(session, values)
        if project == CURRENT_PROJECT:
            return await self._in_current.first(session, values)
        return await self._in_project.first(session, {**values, "project_id": project})


_PROJECT = (
    Project.id.label("project_id"),
    Project.organization_id,
    Project.name.label("project_name"),
    Membership.user_id.label("member_id"),
)


def _in_project(caller: Select[*tuple[Any, ...]], project_id: ColumnElement[Any]) -> Prepared[_Caller]:
    return Prepared(
        caller.add_columns(*_PROJECT)
        .outerjoin(Project, Project.id == project_id)
        .outerjoin(Membership, and_(Membership.project_id == Project.id, Membership.user_id == User.id)),
        _Caller,
    )


_NO_SESSION = (null().label("session_id"), null().label("session_used_at"))
_OF_KEYS = _Statements(
    _CALLER.add_columns(*_NO_SESSION).where(ApiKey.secret_hash == bindparam("secret_hash"))
)
_OF_SESSIONS = _Statements(
    _CALLER.add_columns(
        ConsoleSession.id.label("session_id"), ConsoleSession.last_used_at.label("session_used_at")
    )
    .join(ConsoleSession, ConsoleSession.key_id == ApiKey.id)
    .where(ConsoleSession.secret_hash == bindparam("secret_hash"), *IS_OPEN_SESSION)
)
_IDS = bindparam("ids", type_=ARRAY(Uuid))
_OPEN_SESSIONS = Prepared(
    _CALLER.with_only_columns(ConsoleSession.id)
    .join(ConsoleSession, ConsoleSession.key_id == ApiKey.id)
    .where(ConsoleSession.id == any_(_IDS), *IS_OPEN_SESSION)
)
_VALID_KEYS = Prepared(_CALLER.with_only_columns(ApiKey.id).where(ApiKey.id == any_(_IDS)))

_OF_HOLDERS = _Statements(_CALLER.add_columns(*_NO_SESSION).where(ApiKey.id == bindparam("key_id")))


async def find_holder(session: AsyncSession, key_id: UUID) -> Principal | None:
    """Return the user whom `authenticate` would accept with this API key; None if it would refuse."""
    row = await _OF_HOLDERS.find(session, None, {"key_id": key_id, "now": utcnow()})
    return None if row is None else _principal(row)


async def find_open_sessions(session: AsyncSession, session_ids: Collection[UUID]) -> set[UUID]:
    """Return the ids, among `session_ids`, of the console sessions that `authenticate_session` would still accept."""
    rows = await _OPEN_SESSIONS.all(session, {"ids": list(session_ids), "now": utcnow()})
    return {session_id for (session_id,) in rows}


async def find_valid_keys(session: AsyncSession, key_ids: Collection[UUID]) -> set[UUID]:
    """Return the ids, among `key_ids`, of the API keys that `authenticate` would still accept."""
    rows = await _VALID_KEYS.all(session, {"ids": list(key_ids), "now": utcnow()})
    return {key_id for (key_id,) in rows}


async def find_member(session: AsyncSession, user_id: int, project_id: int) -> Principal | None:
    """Return an active member of a project as a principal without a key, with the scope `task:write`; else None."""
    row = await _MEMBER.first(session, {"user_id": user_id, "project_id": project_id})
    return None if row is None else _principal(row)


_MEMBER = Prepared(
    select(
        null().label("key_id"),
        literal_column("ARRAY['task:write']").label("scopes"),
        literal_column("'{}'::bigint[]").label("scoped_teams"),
        literal_column("'{}'::uuid[]").label("scoped_organizations"),
        null().label("last_used_at"),
        User.id.label("user_id"),
        User.is_staff,
        *_NO_SESSION,
        *_PROJECT,
    )
    .join(Membership, Membership.user_id == User.id)
    .join(Project, Project.id == Membership.project_id)
    .where(
        User.id == bindparam("user_id", type_=User.id.type),
        Project.id == bindparam("project_id", type_=Project.id.type),
        User.is_active,
    ),
    _Caller,
)


def _principal(row: _Caller) -> Principal:
    return Principal(
        user_id=row.user_id,
        is_staff=row.is_staff,
        key_id=row.key_id,
        scopes=frozenset(row.scopes or ()),
        scoped_teams=tuple(row.scoped_teams),
        scoped_organizations=tuple(row.scoped_organizations),
        named_project=row.project,
        is_member=row.project is not None and row.member_id is not None,
        session_id=row.session_id,
    )


_NOTE_USE = Prepared(
    update(ApiKey)
    .where(
        ApiKey.id == bindparam("key_id"),
        or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= bindparam("stale_at")),
    )
    .values(last_used_at=bindparam("now", type_=ApiKey.last_used_at.type)),
    alone=True,
)
_NOTE_USE_OF_SESSION = Prepared(
    update(ConsoleSession)
    .where(ConsoleSession.id == bindparam("session_id"), ConsoleSession.last_used_at <= bindparam("stale_at"))
    .values(last_used_at=bindparam("now", type_=ConsoleSession.last_used_at.type)),
    alone=True,
)


async def _note_use(session: AsyncSession, row: _Caller, now: datetime) -> None:
    # At most hourly (contract 2.2), in its own transaction: it stays if the request fails.
    stale_at = now - _LAST_USED_RESOLUTION
    if row.last_used_at is None or row.last_used_at <= stale_at:
        values = {"key_id": row.key_id, "stale_at": stale_at, "now": now}
        await _NOTE_USE.perform(session, values)
    if row.session_used_at is not None and row.session_used_at <= stale_at:
        values = {"session_id": row.session_id, "stale_at": stale_at, "now": now}
        await _NOTE_USE_OF_SESSION.perform(session, values)
