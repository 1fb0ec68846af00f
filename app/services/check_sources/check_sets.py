"""Store, show and delete check sets, which every member of a project sees and edits (contract 18.1)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clock import utcnow
from app.config import Settings
from app.db.statements import row_of
from app.enums import AgentNetwork, SandboxKind
from app.errors import InvalidInput, NotFound
from app.ids import new_id
from app.json_types import JsonDict
from app.models import CheckSet, User
from app.outages import violated_constraint
from app.schemas.base import Page
from app.schemas.checks.check_sets import CheckSetIn, CheckSetOut, DefinitionsOut
from app.services.access.principal import Principal
from app.services.access.visibility import visible_check_set
from app.services.views.newest_page import newest_page
from app.services.views.users import Creator, user_basic

# Kinds of sandboxes that cannot enforce a network level.
_PORTS_ONLY = frozenset({SandboxKind.LANDLOCK, SandboxKind.NONE})
_CREATOR, _EDITOR = aliased(User), aliased(User)


class _Row(NamedTuple):
    id: UUID
    repository: str | None
    definition: JsonDict
    created_at: datetime
    updated_at: datetime
    creator: Creator | None
    editor: Creator | None


_ONE_OF_A_REPOSITORY = "uq_check_sets_repository"
_COLUMNS = [
    *(getattr(CheckSet, name) for name in ("id", "repository", "definition", "created_at", "updated_at")),
    *(getattr(_CREATOR, name).label(f"creator_{name}") for name in Creator._fields),
    *(getattr(_EDITOR, name).label(f"editor_{name}") for name in Creator._fields),
]


async def list_sets(
    session: AsyncSession, caller: Principal, page: Page, *, repository: str | None
) -> tuple[int, list[CheckSetOut]]:
    """Return the number of check sets of the project, or of one of its repositories, and a page, newest first."""
    conditions = [visible_check_set(caller)]
    if repository:
        conditions.append(CheckSet.repository == repository.lower())
    count, rows = await newest_page(session, _select(*conditions), CheckSet, page, _Row)
    return count, [_out(row) for row in rows]


async def retrieve_set(
    session: AsyncSession, caller: Principal, set_id: UUID, warnings: Sequence[str] = ()
) -> CheckSetOut:
    found = await row_of(session, _select(CheckSet.id == set_id, visible_check_set(caller)), _Row)
    if found is None:
        raise NotFound
    return _out(found, warnings)


async def create_set(
    session: AsyncSession, caller: Principal, body: CheckSetIn, warnings: Sequence[str]
) -> CheckSetOut:
    """Store a new check set. Raises InvalidInput if there is one for this repository."""
    now = utcnow()
    created = (
        insert(CheckSet)
        .values(
            id=new_id(),
            project_id=caller.project.id,
            repository=body.repository,
            definition=body.stored,
            created_at=now,
            created_by_id=caller.user_id,
            updated_at=now,
            updated_by_id=caller.user_id,
        )
        .on_conflict_do_nothing()
        .returning(CheckSet.id)
    )
    set_id = await session.scalar(created)
    if set_id is None:
        raise _second()
    return await retrieve_set(session, caller, set_id, warnings)


async def update_set(
    session: AsyncSession, caller: Principal, set_id: UUID, body: CheckSetIn, warnings: Sequence[str]
) -> CheckSetOut:
    """Replace the given fields of a check set, and return it. If nothing changes, its editor and time stay."""
    is_set = (CheckSet.id == set_id) & visible_check_set(caller)
    locked = select(CheckSet.repository, CheckSet.definition).where(is_set).with_for_update()
    kept = await row_of(session, locked)
    if kept is None:
        raise NotFound
    old_repository, old_definition = kept
    stored = body.stored
    definition = old_definition | {name: stored[name] for name in stored if body.given(name)}
    repository = body.repository if body.given("repository") else old_repository
    if (repository, definition) != kept:
        values = {"repository": repository, "definition": definition}
        changed = values | {"updated_at": utcnow(), "updated_by_id": caller.user_id}
        try:
            await session.execute(update(CheckSet).where(is_set).values(changed))
        except IntegrityError as error:
            if violated_constraint(error) == _ONE_OF_A_REPOSITORY:
                raise _second() from None
            raise
    return await retrieve_set(session, caller, set_id, warnings)


async def delete_set(session: AsyncSession, caller: Principal, set_id: UUID) -> None:
    """Delete a check set. Runs that were prepared before keep its checks."""
    gone = delete(CheckSet).where(CheckSet.id == set_id, visible_check_set(caller)).returning(CheckSet.id)
    if await session.scalar(gone) is None:
        raise NotFound


def warn_of_networks(settings: Settings, kind: SandboxKind) -> list[str]:
    """Return why a worker with these settings and this kind of sandbox cannot enforce the networks of check sets."""
    warnings = []
    level = AgentNetwork.TRUSTED.at_most(settings.network_ceiling)
    if level is not AgentNetwork.TRUSTED:
        warnings.append(
            f"Set-up gets the network level '{level}' instead of 'trusted' (TASKBEACON_AGENT_NETWORK_CEILING)."
        )
    if kind in _PORTS_ONLY:
        held = "is not held to it" if settings.agent_network_unenforced else "gets no network"
        warnings.append(
            f"Set-up {held}, and nothing keeps checks from hosts on open ports: the sandbox "
            f"'{kind}' cannot tell hosts apart (TASKBEACON_AGENT_SANDBOX)."
        )
    return warnings


def _second() -> InvalidInput:
    return InvalidInput("There is a check set for this repository.", code="unique", attr="repository")


def _select(*conditions: Any) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .outerjoin(_CREATOR, _CREATOR.id == CheckSet.created_by_id)
        .outerjoin(_EDITOR, _EDITOR.id == CheckSet.updated_by_id)
        .where(*conditions)
    )


def _out(row: _Row, warnings: Sequence[str] = ()) -> CheckSetOut:
    shown = {
        "id": row.id,
        "repository": row.repository,
        **{name: row.definition[name] for name in DefinitionsOut.__annotations__},
        "created_at": row.created_at,
        "created_by": row.creator and user_basic(row.creator),
        "updated_at": row.updated_at,
        "updated_by": row.editor and user_basic(row.editor),
        **({"warnings": [*warnings]} if warnings else {}),
    }
    return cast("CheckSetOut", shown)
