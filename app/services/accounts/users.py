"""Show callers their own profile and the projects that they may use (contract 6.6, 6.7)."""

from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import BigInteger, any_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import Prepared
from app.errors import UserDeleted
from app.models import Organization, Project, User
from app.outages import violated_constraint
from app.schemas.base import Page
from app.schemas.projects import ProjectOut
from app.schemas.users import OrganizationOut, UserOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_PROJECTS, visibility_anywhere
from app.services.views.users import Creator, user_basic

_NAMES_A_USER = frozenset(
    reference.name
    for table in User.metadata.tables.values()
    for reference in table.foreign_key_constraints
    if reference.referred_table is User.__table__
)


class _Project(NamedTuple):
    id: int
    uuid: UUID
    organization: UUID
    project_id: int
    api_token: str
    name: str
    timezone: str


class _ProjectOfOrganization(NamedTuple):
    project: _Project
    organization_name: str


_PROJECT_COLUMNS = [
    Project.id,
    Project.uuid,
    Project.organization_id.label("organization"),
    Project.id.label("project_id"),
    Project.api_token,
    Project.name,
    Project.timezone,
]


async def retrieve_caller(session: AsyncSession, caller: Principal) -> UserOut:
    user = await session.get(User, caller.user_id)
    if user is None:
        raise UserDeleted
    rows = await _ALL_PROJECTS.all(session, visibility_anywhere(caller))
    team: ProjectOut | None = None
    organizations: dict[UUID, OrganizationOut] = {}
    for project, organization_name in rows:
        organizations[project.organization] = {"id": project.organization, "name": organization_name}
        if project.id == user.current_project_id:
            team = _project_out(project)
    return {
        **user_basic(Creator._make(getattr(user, name) for name in Creator._fields)),
        "is_staff": user.is_staff,
        "date_joined": user.date_joined,
        "team": team,
        "organization": organizations[team["organization"]] if team else None,
        "organizations": list(organizations.values()),
    }


async def list_projects(session: AsyncSession, caller: Principal, page: Page) -> tuple[int, list[ProjectOut]]:
    values = visibility_anywhere(caller)
    (count,) = await _PROJECT_COUNT.one(session, values)
    rows = await _PROJECT_PAGE.all(session, {**values, "limit": page.limit, "offset": page.offset})
    return count, [_project_out(row) for row in rows]


def _project_out(project: _Project) -> ProjectOut:
    return cast("ProjectOut", project._asdict())


_IS_USABLE = Project.id == any_(VISIBLE_PROJECTS)
_ALL_PROJECTS = Prepared(
    select(*_PROJECT_COLUMNS, Organization.name.label("organization_name"))
    .join(Organization, Organization.id == Project.organization_id)
    .where(_IS_USABLE)
    .order_by(Project.id),
    _ProjectOfOrganization,
)
_PROJECT_COUNT = Prepared(select(func.count()).select_from(Project).where(_IS_USABLE))
_PROJECT_PAGE = Prepared(
    select(*_PROJECT_COLUMNS)
    .where(_IS_USABLE)
    .order_by(Project.id)
    .limit(bindparam("limit", type_=BigInteger))
    .offset(bindparam("offset", type_=BigInteger)),
    _Project,
)


def is_of_deleted_user(error: BaseException) -> bool:
    """Return whether a row was refused because its user was deleted: callers are cached for a second."""
    return violated_constraint(error) in _NAMES_A_USER
