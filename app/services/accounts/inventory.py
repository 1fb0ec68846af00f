"""List and show users, projects, organizations, API keys and integrations to operators, without secrets."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFound
from app.models import ApiKey, Integration, Membership, Organization, Project, User

MAX_LIMIT = 1000

Listing = dict[str, Any]
_Rows = Select[*tuple[Any, ...]]

_USER = (
    User.id,
    User.uuid,
    User.email,
    User.first_name,
    User.last_name,
    User.is_active,
    User.is_staff,
    User.current_project_id.label("current_project"),
    User.date_joined,
)
_PROJECT = (
    Project.id,
    Project.uuid,
    Project.organization_id.label("organization"),
    Project.name,
    Project.created_at,
)
_ORGANIZATION = (Organization.id, Organization.name, Organization.created_at)
_KEY = (
    ApiKey.id,
    ApiKey.user_id.label("user"),
    ApiKey.label,
    ApiKey.mask,
    ApiKey.scopes,
    ApiKey.scoped_teams.label("projects"),
    ApiKey.scoped_organizations.label("organizations"),
    ApiKey.created_at,
    ApiKey.last_used_at,
    ApiKey.expires_at,
    ApiKey.revoked_at,
)
_INTEGRATION = (
    Integration.id,
    Integration.project_id.label("project"),
    Integration.kind,
    Integration.app_id,
    Integration.installation_id,
    Integration.encrypted_token.is_not(None).label("has_token"),
    Integration.encrypted_webhook_secret.is_not(None).label("has_webhook_secret"),
    Integration.api_url,
    Integration.git_url,
    Integration.created_at,
)


async def list_users(
    session: AsyncSession, *, project_id: int | None = None, email: str | None = None, limit: int, offset: int
) -> Listing:
    """Return a mapping with `count`, the number of matching users, and `results`, one page of them ordered by id."""
    conditions: list[ColumnElement[bool]] = []
    if project_id is not None:
        member = exists().where(Membership.user_id == User.id, Membership.project_id == project_id)
        conditions.append(member)
    if email is not None:
        conditions.append(User.email.icontains(email, autoescape=True))
    return await _list(session, select(*_USER).where(*conditions).order_by(User.id), limit, offset)


async def list_projects(
    session: AsyncSession, *, organization_id: UUID | None = None, limit: int, offset: int
) -> Listing:
    """Return a mapping with `count`, the number of matching projects, and `results`, one page of them ordered by id."""
    conditions = [] if organization_id is None else [Project.organization_id == organization_id]
    return await _list(session, select(*_PROJECT).where(*conditions).order_by(Project.id), limit, offset)


async def list_organizations(session: AsyncSession, *, limit: int, offset: int) -> Listing:
    """Return a mapping with `count`, the number of organizations, and `results`, one page of them, oldest first."""
    return await _list(session, select(*_ORGANIZATION).order_by(Organization.id), limit, offset)


async def list_keys(
    session: AsyncSession, *, user_id: int | None = None, mask: str | None = None, limit: int, offset: int
) -> Listing:
    """Return a mapping with `count`, the number of matching API keys, and `results`, one page of them, oldest first."""
    conditions: list[ColumnElement[bool]] = []
    if user_id is not None:
        conditions.append(ApiKey.user_id == user_id)
    if mask is not None:
        conditions.append(ApiKey.mask == mask)
    statement = select(*_KEY).where(*conditions).order_by(ApiKey.created_at, ApiKey.id)
    return await _list(session, statement, limit, offset)


async def list_integrations(
    session: AsyncSession, *, project_id: int | None = None, limit: int, offset: int
) -> Listing:
    """Return a mapping with `count`, the number of matching integrations, and `results`, one page ordered by id."""
    conditions = [] if project_id is None else [Integration.project_id == project_id]
    statement = select(*_INTEGRATION).where(*conditions).order_by(Integration.id)
    return await _list(session, statement, limit, offset)


async def show_user(session: AsyncSession, user_id: int) -> Listing:
    """Return a user as a mapping, with the ids of the user's projects."""
    user = await _one(session, select(*_USER).where(User.id == user_id), f"User {user_id}")
    projects = await session.scalars(
        select(Membership.project_id).where(Membership.user_id == user_id).order_by(Membership.project_id)
    )
    return {**user, "projects": list(projects)}


async def show_project(session: AsyncSession, project_id: int) -> Listing:
    """Return a project as a mapping, with the ids of its members."""
    project = await _one(session, select(*_PROJECT).where(Project.id == project_id), f"Project {project_id}")
    members = await session.scalars(
        select(Membership.user_id)
        .where(Membership.project_id == project_id)
        .order_by(Membership.user_id)
        .limit(MAX_LIMIT)
    )
    return {**project, "members": list(members)}


async def show_key(session: AsyncSession, key_id: UUID) -> Listing:
    """Return an API key as a mapping, without its value."""
    return await _one(session, select(*_KEY).where(ApiKey.id == key_id), f"Key {key_id}")


async def show_integration(session: AsyncSession, integration_id: int) -> Listing:
    """Return an integration as a mapping, without its secrets."""
    statement = select(*_INTEGRATION).where(Integration.id == integration_id)
    return await _one(session, statement, f"Integration {integration_id}")


async def _list(session: AsyncSession, statement: _Rows, limit: int, offset: int) -> Listing:
    count = await session.scalar(select(func.count()).select_from(statement.order_by(None).subquery()))
    rows = await session.execute(statement.limit(min(limit, MAX_LIMIT)).offset(offset))
    return {"count": count, "results": [row._asdict() for row in rows]}


async def _one(session: AsyncSession, statement: _Rows, name: str) -> Listing:
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(f"{name} does not exist.")
    return row._asdict()
