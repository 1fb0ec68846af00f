"""From a key to its `Principal`, in one statement."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, literal_column, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.errors import AuthenticationFailed
from app.models import ApiKey, Membership, Project, User
from app.security import hash_api_key
from app.services.access.cache import CallerCache
from app.services.access.principal import CURRENT_PROJECT, Principal, ProjectRef
from app.statements import Fields, Prepared

_LAST_USED_RESOLUTION = timedelta(hours=1)


async def authenticate(
    session: AsyncSession,
    secret: str,
    *,
    place: str,
    project: int | str | None = None,
    cache: CallerCache[Principal] | None = None,
) -> Principal:
    """Return the principal that a key belongs to, with the project that the request names, in one statement.

    Args:
        session: the unit of work of the request.
        secret: the key as it was sent.
        place: where in the request it was found, for the error message.
        project: id of the project in the path, `CURRENT_PROJECT`, or None where the path names none.
        cache: callers of the last second; None: ask the database.

    Raises:
        AuthenticationFailed: the key is unknown, revoked, expired, or of an inactive user.

    """
    secret_hash = hash_api_key(secret)
    known = cache.find(secret_hash, project) if cache else None
    if known is not None:
        return known
    asked_at = cache.now() if cache else 0.0
    statement = _ANYWHERE if project is None else _IN_CURRENT if project == CURRENT_PROJECT else _IN_PROJECT
    row = await statement.first(session, {"secret_hash": secret_hash, "project_id": project, "now": utcnow()})
    if row is None:
        raise AuthenticationFailed(place)
    await _note_use(session, row["key_id"], row["last_used_at"])
    principal = _principal(row)
    if cache:
        cache.keep(secret_hash, project, principal, asked_at=asked_at)
    return principal


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
    .where(
        ApiKey.secret_hash == bindparam("secret_hash"),
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > bindparam("now")),
        User.is_active,
    )
)


def _in_project(wanted: ColumnElement[Any]) -> Prepared:
    return Prepared(
        _CALLER.add_columns(
            Project.id.label("project_id"),
            Project.organization_id,
            Project.name.label("project_name"),
            Membership.user_id.label("member_id"),
        )
        .outerjoin(Project, Project.id == wanted)
        .outerjoin(Membership, and_(Membership.project_id == Project.id, Membership.user_id == User.id))
    )


_ANYWHERE = Prepared(_CALLER)
_IN_PROJECT = _in_project(bindparam("project_id", type_=Project.id.type))
_IN_CURRENT = _in_project(User.current_project_id.expression)


async def find_member(session: AsyncSession, user_id: int, project_id: int) -> Principal | None:
    """Return the principal of a user without a key, who may work on a project's tasks; None after the user lost access."""
    row = await _MEMBER.first(session, {"user_id": user_id, "project_id": project_id})
    return None if row is None else _principal(row)


_MEMBER = Prepared(
    select(
        null().label("key_id"),
        literal_column("ARRAY['task:write']").label("scopes"),
        literal_column("'{}'::bigint[]").label("scoped_teams"),
        literal_column("'{}'::uuid[]").label("scoped_organizations"),
        User.id.label("user_id"),
        User.is_staff,
        Project.id.label("project_id"),
        Project.organization_id,
        Project.name.label("project_name"),
        Membership.user_id.label("member_id"),
    )
    .join(Membership, Membership.user_id == User.id)
    .join(Project, Project.id == Membership.project_id)
    .where(
        User.id == bindparam("user_id", type_=User.id.type),
        Project.id == bindparam("project_id", type_=Project.id.type),
        User.is_active,
    )
)


def _principal(row: Fields) -> Principal:
    project = None
    if row.get("project_id") is not None:
        project = ProjectRef(
            id=row["project_id"], organization_id=row["organization_id"], name=row["project_name"]
        )
    return Principal(
        user_id=row["user_id"],
        is_staff=row["is_staff"],
        key_id=row["key_id"],
        scopes=frozenset(row["scopes"] or ()),
        scoped_teams=tuple(row["scoped_teams"]),
        scoped_organizations=tuple(row["scoped_organizations"]),
        named_project=project,
        is_member=project is not None and row["member_id"] is not None,
    )


_NOTE_USE = Prepared(
    update(ApiKey)
    .where(
        ApiKey.id == bindparam("key_id"),
        or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= bindparam("stale_at")),
    )
    .values(last_used_at=bindparam("now", type_=ApiKey.last_used_at.type))
)


async def _note_use(session: AsyncSession, key_id: UUID, last_used_at: datetime | None) -> None:
    """Write `last_used_at` at most hourly (contract 2.2), in a transaction of its own: it stays if the request fails."""
    now = utcnow()
    stale_at = now - _LAST_USED_RESOLUTION
    if last_used_at is not None and last_used_at > stale_at:
        return
    await _NOTE_USE.perform_alone(session, {"key_id": key_id, "stale_at": stale_at, "now": now})
