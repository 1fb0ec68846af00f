"""Issue, find and revoke the API keys of users; services/access authenticates with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import count_changed, row_of, rows_of
from app.enums import Scope
from app.errors import InvalidInput, NotFound, PermissionDenied, unknown_choice
from app.ids import new_id
from app.models import ApiKey
from app.schemas.users import NewOwnKeyOut, OwnKeyIn, OwnKeyOut
from app.security.secrets import hash_api_key, mask_api_key, new_api_key
from app.services.access.principal import Principal
from app.services.access.scopes import require_scope
from app.services.access.user_lock import lock_user
from app.services.accounts.account_fields import clean_label
from app.services.accounts.administration import require_organizations, require_projects, require_user

LABEL_LENGTH = 40
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
    label = clean_label(label, attr="label", limit=LABEL_LENGTH)
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
    revoked = update(ApiKey).values(revoked_at=func.coalesce(ApiKey.revoked_at, utcnow()))
    if not await count_changed(session, revoked.where(ApiKey.id == key_id)):
        raise NotFound(f"Key {key_id} does not exist.")


# The columns of a key that its owner sees.
_SHOWN = [name for name in OwnKeyOut.__annotations__ if name != "current"]


async def list_own_keys(
    session: AsyncSession, caller: Principal, *only: ColumnElement[bool]
) -> list[OwnKeyOut]:
    """Return the keys of the caller's user that are not revoked, the newest first."""
    statement = (
        select(*(getattr(ApiKey, name) for name in _SHOWN))
        .where(ApiKey.user_id == caller.user_id, ApiKey.revoked_at.is_(None), *only)
        .order_by(ApiKey.created_at.desc(), ApiKey.id.desc())
        .limit(_MOST_KEYS)
    )
    found: Any = [dict(zip(_SHOWN, row, strict=True)) for row in await rows_of(session, statement)]
    return [key | {"scopes": key["scopes"] or [], "current": key["id"] == caller.key_id} for key in found]


async def create_own_key(session: AsyncSession, caller: Principal, body: OwnKeyIn) -> NewOwnKeyOut:
    """Create a key of the caller's user, which can do no more than the caller's own, and lives no longer."""
    for scope in body.scopes:
        require_scope(caller, scope)
    # Callers are cached for a second: a key that was revoked meanwhile must not create another.
    own = select(ApiKey.expires_at).where(ApiKey.id == caller.key_id, ApiKey.revoked_at.is_(None))
    present = await row_of(session, own.with_for_update(read=True))
    if present is None:
        raise PermissionDenied("The key of this request is revoked.")
    await lock_user(session, caller.user_id)
    kept = select(func.count()).where(ApiKey.user_id == caller.user_id, ApiKey.revoked_at.is_(None))
    if (await session.scalar(kept) or 0) >= _MOST_KEYS:
        raise InvalidInput(
            f"You have {_MOST_KEYS} keys, the most there can be. Revoke some.", code="max_length"
        )
    lives = None if body.expires_in_days is None else utcnow() + timedelta(days=body.expires_in_days)
    limits = KeyLimits(
        project_ids=caller.scoped_teams,
        organization_ids=caller.scoped_organizations,
        expires_at=min((end for end in (lives, *present) if end is not None), default=None),
    )
    issued = await create_api_key(
        session, user_id=caller.user_id, scopes=body.scopes, label=body.label, limits=limits
    )
    (key,) = await list_own_keys(session, caller, ApiKey.id == issued.id)
    return {**key, "value": issued.value}


async def revoke_own_key(session: AsyncSession, caller: Principal, key_id: UUID) -> None:
    """Revoke a key of the caller's user. Raises NotFound, also if it is revoked already."""
    if not await list_own_keys(session, caller, ApiKey.id == key_id):
        raise NotFound
    await revoke_api_key(session, key_id)


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
