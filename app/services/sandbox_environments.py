"""Store, show and delete sandbox environments: network rules and variables for runs (contract 5.8, 9.2)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.network.domains import TRUSTED_DOMAINS
from app.clock import utcnow
from app.db.statements import row_of, rows_of
from app.enums import NetworkAccessLevel
from app.errors import InvalidInput, NotFound
from app.ids import new_id
from app.models import SandboxEnvironment, User
from app.schemas.base import Page
from app.schemas.sandbox_environments import (
    SandboxEnvironmentIn,
    SandboxEnvironmentOut,
    SandboxEnvironmentUpdateIn,
)
from app.security.secrets import Cipher
from app.services.access.principal import Principal
from app.services.access.visibility import visible_environment
from app.services.views.newest_page import newest_page
from app.services.views.users import CREATOR_COLUMNS, Creator, user_basic

_PLAIN = (
    "name",
    "network_access_level",
    "allowed_domains",
    "include_default_domains",
    "repositories",
    "for_checks",
    "private",
)


class _Environment(NamedTuple):
    id: UUID
    name: str
    network_access_level: NetworkAccessLevel
    allowed_domains: list[str]
    include_default_domains: bool
    repositories: list[str]
    for_checks: list[str]
    private: bool
    encrypted_variables: dict[str, str]
    created_at: datetime
    updated_at: datetime
    creator: Creator | None


_COLUMNS = [
    *(getattr(SandboxEnvironment, name) for name in _Environment._fields if name != "creator"),
    *CREATOR_COLUMNS,
]


async def create_environment(
    session: AsyncSession, caller: Principal, body: SandboxEnvironmentIn, *, cipher: Cipher
) -> SandboxEnvironmentOut:
    environment_id, now = new_id(), utcnow()
    await session.execute(
        insert(SandboxEnvironment).values(
            id=environment_id,
            project_id=caller.project.id,
            created_by_id=caller.user_id,
            **{name: getattr(body, name) for name in _PLAIN},
            encrypted_variables=_encrypt(cipher, body.environment_variables),
            created_at=now,
            updated_at=now,
        )
    )
    return await retrieve_environment(session, caller, environment_id)


async def list_environments(
    session: AsyncSession, caller: Principal, page: Page
) -> tuple[int, list[SandboxEnvironmentOut]]:
    count, rows = await newest_page(session, _select(caller), SandboxEnvironment, page, _Environment)
    return count, [_out(row) for row in rows]


async def retrieve_environment(
    session: AsyncSession, caller: Principal, environment_id: UUID
) -> SandboxEnvironmentOut:
    statement = _select(caller).where(SandboxEnvironment.id == environment_id)
    found = await rows_of(session, statement, _Environment)
    if not found:
        raise NotFound
    return _out(found[0])


async def update_environment(
    session: AsyncSession,
    caller: Principal,
    environment_id: UUID,
    body: SandboxEnvironmentUpdateIn,
    *,
    cipher: Cipher,
) -> SandboxEnvironmentOut:
    """Change the given fields of a sandbox environment and return it. Runs that start after this use the new values."""
    values: dict[str, object] = {name: getattr(body, name) for name in _PLAIN if body.given(name)}
    if body.given("environment_variables"):
        values["encrypted_variables"] = _encrypt(cipher, body.environment_variables)
    condition = (SandboxEnvironment.id == environment_id) & visible_environment(caller)
    if values.get("private"):
        owner = await row_of(session, select(SandboxEnvironment.created_by_id).where(condition))
        if owner is not None and owner[0] != caller.user_id:
            raise InvalidInput("Only the creator can make this environment private.", attr="private")
    changed = await session.scalar(
        update(SandboxEnvironment)
        .where(condition)
        .values(values | {"updated_at": utcnow()})
        .returning(SandboxEnvironment.id)
    )
    if changed is None:
        raise NotFound
    return await retrieve_environment(session, caller, environment_id)


async def delete_environment(session: AsyncSession, caller: Principal, environment_id: UUID) -> None:
    """Delete a sandbox environment. Waiting runs that use it fail instead of running without it."""
    gone = await session.scalar(
        delete(SandboxEnvironment)
        .where(SandboxEnvironment.id == environment_id, visible_environment(caller))
        .returning(SandboxEnvironment.id)
    )
    if gone is None:
        raise NotFound


def effective_domains(level: NetworkAccessLevel, own: list[str], *, include_defaults: bool) -> list[str]:
    """Return the host names that agents may reach, each once: `own`, then the trusted ones if this level has them."""
    match level:
        case NetworkAccessLevel.TRUSTED:
            return list(dict.fromkeys([*own, *TRUSTED_DOMAINS]))
        case NetworkAccessLevel.CUSTOM:
            return list(dict.fromkeys([*own, *(TRUSTED_DOMAINS if include_defaults else ())]))
        case NetworkAccessLevel.NONE | NetworkAccessLevel.MODEL_ONLY | NetworkAccessLevel.FULL:
            return []


def _encrypt(cipher: Cipher, variables: Mapping[str, str]) -> dict[str, str]:
    return {name: cipher.encrypt(value) for name, value in variables.items()}


def _select(caller: Principal) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .outerjoin(User, User.id == SandboxEnvironment.created_by_id)
        .where(visible_environment(caller))
    )


def _out(row: _Environment) -> SandboxEnvironmentOut:
    shown = row._asdict()
    variables, creator = shown.pop("encrypted_variables"), shown.pop("creator")
    shown |= {
        "has_environment_variables": bool(variables),
        "environment_variable_keys": sorted(variables),
        "internal": False,
        "effective_domains": effective_domains(
            row.network_access_level, row.allowed_domains, include_defaults=row.include_default_domains
        ),
        "created_by": creator and user_basic(creator),
    }
    return cast("SandboxEnvironmentOut", shown)
