"""Issue, find and revoke the API keys of users; services/access authenticates with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import Scope
from app.errors import InvalidInput, NotFound, unknown_choice
from app.ids import new_id
from app.models import ApiKey
from app.schemas.users import NewOwnKeyOut, OwnKeyIn, OwnKeyOut
from app.security import hash_api_key, mask_api_key, new_api_key
from app.services.access.principal import Principal, require_scope
from app.services.accounts.accounts import require_organizations, require_projects, require_user
from app.services.accounts.fields import clean_label
from app.statements import row_of, rows_of

_LABEL_LENGTH = 40
_MOST_KEYS = 500


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key. `value` is the key in plain text. The database stores only a hash of it."""

    id: UUID
    mask: str
    scopes: tuple[Scope, ...]
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    project_ids: Sequence[int] = ()
    organization_ids: Sequence[UUID] = ()
    expires_at: datetime | None = None


async def create_api_key(
    session: AsyncSession,
    *,
    user_id: int,
    scopes: Sequence[str],
    label: str = "",
    limits: KeyLimits = KeyLimits(),
) -> IssuedKey:
    """Create an API key for a user and return it with its value, which no later call returns (contract 2.3)."""
    granted = _known_scopes(scopes)
    label = clean_label(label, attr="label", limit=_LABEL_LENGTH)
    project_ids = tuple(dict.fromkeys(limits.project_ids))
    organization_ids = tuple(dict.fromkeys(limits.organization_ids))
    expires_at = limits.expires_at
    if not (await require_user(session, user_id)).is_active:
        raise InvalidInput(f"User {user_id} is deactivated.", attr="user")
    await require_projects(session, project_ids)
    await require_organizations(session, organization_ids)
    if expires_at is not None and expires_at <= utcnow():
        raise InvalidInput("A key must expire in the future.", attr="expires")
    value = new_api_key()
    key = ApiKey(
        id=new_id(),
        user_id=user_id,
        label=label,
        secret_hash=hash_api_key(value),
        mask=mask_api_key(value),
        scopes=[scope.value for scope in granted],
        scoped_teams=list(project_ids),
        scoped_organizations=list(organization_ids),
        created_at=utcnow(),
        expires_at=expires_at,
    )
    session.add(key)
    await session.flush()
    return IssuedKey(id=key.id, mask=key.mask, scopes=granted, value=value)


async def find_by_value(session: AsyncSession, value: str) -> UUID:
    found = await session.scalar(select(ApiKey.id).where(ApiKey.secret_hash == hash_api_key(value)))
    if found is None:
        raise NotFound("There is no such key.")
    return found


async def find_by_mask(session: AsyncSession, mask: str) -> UUID:
    """Return the id of the only API key with this mask (the form that lists show). Revoked keys are ignored."""
    found = list(
        await session.scalars(
            select(ApiKey.id).where(ApiKey.mask == mask, ApiKey.revoked_at.is_(None)).limit(2)
        )
    )
    if not found:
        raise NotFound(f"No key that is not revoked looks like {mask}.")
    if len(found) > 1:
        raise InvalidInput(f"Several keys look like {mask}; name one by its id (list-keys).", attr="mask")
    return found[0]


async def revoke_api_key(session: AsyncSession, key_id: UUID) -> None:
    """Revoke an API key permanently. If it is revoked already, the time of the first revocation stays."""
    found = await session.scalar(
        update(ApiKey)
        .where(ApiKey.id == key_id)
        .values(revoked_at=func.coalesce(ApiKey.revoked_at, utcnow()))
        .returning(ApiKey.id)
    )
    if found is None:
        raise NotFound(f"Key {key_id} does not exist.")


class _OwnKey(NamedTuple):
    id: UUID
    label: str
    mask: str
    scopes: list[str] | None
    scoped_teams: list[int]
    scoped_organizations: list[UUID]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


_OWN_KEY = [getattr(ApiKey, name) for name in _OwnKey._fields]


async def list_own_keys(session: AsyncSession, caller: Principal) -> list[OwnKeyOut]:
    """Return the keys of the caller's user that are not revoked, the newest first."""
    statement = (
        select(*_OWN_KEY)
        .where(ApiKey.user_id == caller.user_id, ApiKey.revoked_at.is_(None))
        .order_by(ApiKey.created_at.desc(), ApiKey.id.desc())
        .limit(_MOST_KEYS)
    )
    return [_own_key(key, caller) for key in await rows_of(session, statement, _OwnKey)]


async def create_own_key(session: AsyncSession, caller: Principal, body: OwnKeyIn) -> NewOwnKeyOut:
    """Create a key of the caller's user, which can do no more than the caller's own, and lives no longer."""
    for scope in body.scopes:
        require_scope(caller, scope)
    present = await row_of(session, select(*_OWN_KEY).where(ApiKey.id == caller.key_id), _OwnKey)
    lives = None if body.expires_in_days is None else utcnow() + timedelta(days=body.expires_in_days)
    ends = [moment for moment in (lives, present and present.expires_at) if moment is not None]
    issued = await create_api_key(
        session,
        user_id=caller.user_id,
        scopes=body.scopes,
        label=body.label,
        limits=KeyLimits(
            project_ids=caller.scoped_teams,
            organization_ids=caller.scoped_organizations,
            expires_at=min(ends, default=None),
        ),
    )
    key = await row_of(session, select(*_OWN_KEY).where(ApiKey.id == issued.id), _OwnKey)
    assert key is not None
    return {**_own_key(key, caller), "value": issued.value}


async def revoke_own_key(session: AsyncSession, caller: Principal, key_id: UUID) -> None:
    """Revoke a key of the caller's user. Raises NotFound, also if it is revoked already."""
    own = (ApiKey.id == key_id, ApiKey.user_id == caller.user_id, ApiKey.revoked_at.is_(None))
    if (
        await session.scalar(update(ApiKey).where(*own).values(revoked_at=utcnow()).returning(ApiKey.id))
        is None
    ):
        raise NotFound


def _own_key(key: _OwnKey, caller: Principal) -> OwnKeyOut:
    shown: Any = key._asdict() | {"scopes": key.scopes or [], "current": key.id == caller.key_id}
    own: OwnKeyOut = shown
    return own


def _known_scopes(words: Sequence[str]) -> tuple[Scope, ...]:
    if not words:
        raise InvalidInput("This list may not be empty.", code="empty", attr="scope")
    scopes: dict[Scope, None] = {}
    for word in words:
        try:
            scopes[Scope(word)] = None
        except ValueError as error:
            raise unknown_choice(word, Scope, attr="scope") from error
    return tuple(scopes)
