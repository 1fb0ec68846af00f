"""Create, change and delete organizations, projects, members and users, for operators: no caller is checked."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.clock import utcnow
from app.db.statements import count_changed
from app.enums import DisabledReason
from app.errors import InvalidInput, NotFound, too_long
from app.ids import new_id
from app.models import Membership, Organization, Project, TaskCounter, User
from app.security.secrets import new_project_token
from app.services.access.user_lock import lock_user
from app.services.accounts.account_fields import clean_email, clean_label, clean_name
from app.services.webhook_endpoints.disabling import disable_of_user

DEFAULT_ORGANIZATION = "Default organization"

Key = TypeVar("Key", int, UUID)

_PERSON_NAME_LENGTH = 150
_REFERENCES_AT_ONCE = 100
_DEFAULT_ORGANIZATION_LOCK = 0x7A5C_0001


async def create_organization(session: AsyncSession, name: str) -> Organization:
    """Add an organization and return it. Names are not unique: a second call adds a second organization."""
    organization = Organization(id=new_id(), name=clean_name(name), created_at=utcnow())
    session.add(organization)
    await session.flush()
    return organization


async def create_project(session: AsyncSession, name: str, *, organization_id: UUID | None = None) -> Project:
    """Add a project with a new `api_token` and a counter of task numbers; by default to `DEFAULT_ORGANIZATION`."""
    name = clean_name(name)
    if organization_id is None:
        # No other organization: API keys that are limited to it would allow the new project too.
        organization_id = await _default_organization_id(session)
    else:
        await require_organizations(session, [organization_id])
    project = Project(
        uuid=new_id(),
        organization_id=organization_id,
        name=name,
        api_token=new_project_token(),
        timezone="UTC",
        created_at=utcnow(),
    )
    session.add(project)
    await session.flush()
    session.add(TaskCounter(project_id=project.id))
    await session.flush()
    return project


async def update_project(session: AsyncSession, project_id: int, **values: object) -> Project:
    project: Project | None = await session.scalar(
        update(Project).where(Project.id == project_id).values(values).returning(Project)
    )
    if project is None:
        raise _unknown("Project", project_id)
    return project


async def create_user(
    session: AsyncSession,
    email: str,
    *,
    first_name: str = "",
    last_name: str = "",
    is_staff: bool = False,
    project_ids: Sequence[int] = (),
) -> User:
    """Add a member of these projects; the first becomes `@current`. Of two calls with one address, one fails."""
    email = clean_email(email)
    project_ids = tuple(dict.fromkeys(project_ids))
    await require_projects(session, project_ids)
    uuid, now = new_id(), utcnow()
    user: User | None = await session.scalar(
        insert(User)
        .values(
            uuid=uuid,
            distinct_id=str(uuid),
            email=email,
            first_name=clean_label(first_name, attr="first_name", limit=_PERSON_NAME_LENGTH),
            last_name=clean_label(last_name, attr="last_name", limit=_PERSON_NAME_LENGTH),
            is_staff=is_staff,
            current_project_id=project_ids[0] if project_ids else None,
            date_joined=now,
        )
        .on_conflict_do_nothing(index_elements=[func.lower(User.email)])
        .returning(User)
    )
    if user is None:
        raise InvalidInput(f"A user with the address {email} exists already.", code="unique", attr="email")
    session.add_all(
        Membership(user_id=user.id, project_id=project_id, created_at=now) for project_id in project_ids
    )
    await session.flush()
    return user


async def add_member(session: AsyncSession, *, project_id: int, user_id: int) -> None:
    """Make a user a member of a project. Idempotent."""
    await require_projects(session, [project_id])
    await require_user(session, user_id)
    await session.execute(
        insert(Membership)
        .values(user_id=user_id, project_id=project_id, created_at=utcnow())
        .on_conflict_do_nothing()
    )
    await session.execute(
        update(User)
        .where(User.id == user_id, User.current_project_id.is_(None))
        .values(current_project_id=project_id)
    )


async def remove_member(session: AsyncSession, *, project_id: int, user_id: int) -> None:
    """End a membership: tasks stay, webhook endpoints are disabled, `@current` is the oldest other one. Idempotent."""
    await require_projects(session, [project_id])
    await require_user(session, user_id)
    # Concurrent removals wait: none makes a project the current one that another has just taken away.
    await lock_user(session, user_id)
    await session.execute(
        delete(Membership).where(Membership.project_id == project_id, Membership.user_id == user_id)
    )
    await disable_of_user(session, user_id, DisabledReason.CREATOR_LEFT, project_id=project_id)
    oldest = (
        select(Membership.project_id)
        .where(Membership.user_id == user_id)
        .order_by(Membership.created_at, Membership.project_id)
        .limit(1)
    )
    await session.execute(
        update(User)
        .where(User.id == user_id, User.current_project_id == project_id)
        .values(current_project_id=oldest.scalar_subquery())
    )


async def deactivate_user(session: AsyncSession, user_id: int) -> None:
    """Close a user's account: its API keys stop working and its webhook endpoints are disabled (contract 2.2)."""
    if not await count_changed(session, update(User).where(User.id == user_id).values(is_active=False)):
        raise _unknown("User", user_id)
    await disable_of_user(session, user_id, DisabledReason.CREATOR_DEACTIVATED)


async def delete_user(session: AsyncSession, user_id: int) -> None:
    """Delete a user with their API keys and memberships. Their tasks stay, and become visible to the whole project."""
    if not await count_changed(session, delete(User).where(User.id == user_id)):
        raise _unknown("User", user_id)


async def require_user(session: AsyncSession, user_id: int) -> User:
    """Return a user; lock its row against deletion until the transaction ends."""
    user = await session.scalar(
        select(User).where(User.id == user_id).with_for_update(read=True, key_share=True)
    )
    if user is None:
        raise _unknown("User", user_id)
    return user


async def require_projects(session: AsyncSession, project_ids: Sequence[int]) -> None:
    """Check that all projects exist; lock their rows against deletion until the transaction ends."""
    await _require_all(session, Project.id, project_ids, name="project")


async def require_organizations(session: AsyncSession, organization_ids: Sequence[UUID]) -> None:
    """Check that all organizations exist; lock their rows against deletion until the transaction ends."""
    await _require_all(session, Organization.id, organization_ids, name="organization")


async def _require_all(
    session: AsyncSession, key: InstrumentedAttribute[Key], ids: Sequence[Key], *, name: str
) -> None:
    if len(ids) > _REFERENCES_AT_ONCE:
        raise too_long(_REFERENCES_AT_ONCE, "elements", attr=name)
    locked = select(key).where(key.in_(ids)).order_by(key).with_for_update(read=True, key_share=True)
    found = set(await session.scalars(locked))
    for identifier in ids:
        if identifier not in found:
            raise _unknown(name.capitalize(), identifier)


async def _default_organization_id(session: AsyncSession) -> UUID:
    # No constraint makes names unique, so concurrent callers wait for this lock.
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _DEFAULT_ORGANIZATION_LOCK})
    found = await session.scalar(
        select(Organization.id)
        .where(Organization.name == DEFAULT_ORGANIZATION)
        .order_by(Organization.created_at, Organization.id)
        .limit(1)
    )
    return found or (await create_organization(session, DEFAULT_ORGANIZATION)).id


def _unknown(what: str, identifier: object) -> NotFound:
    return NotFound(f"{what} {identifier} does not exist.")
