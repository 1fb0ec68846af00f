"""List and show users, projects, organizations, API keys and integrations to operators, without secrets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.errors import NotFound
from app.models import ApiKey, Integration, Membership, Organization, Project, User

MAX_LIMIT = 1000

Listing = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """A kind of rows: its columns as they are shown, and the conditions by which a list can be limited."""

    name: str
    id: InstrumentedAttribute[Any]
    columns: tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...]
    order: tuple[InstrumentedAttribute[Any], ...] = ()
    filters: Mapping[str, Callable[[Any], ColumnElement[bool]]] = field(default_factory=dict)
    # Ids that are shown with a row, by their name: a SELECT for the row's id.
    related: Mapping[str, Callable[[Any], Select[int]]] = field(default_factory=dict)


USERS = Inventory(
    name="User",
    id=User.id,
    columns=(
        User.id,
        User.uuid,
        User.email,
        User.first_name,
        User.last_name,
        User.is_active,
        User.is_staff,
        User.current_project_id.label("current_project"),
        User.date_joined,
    ),
    filters={
        "project": lambda id_: exists().where(Membership.user_id == User.id, Membership.project_id == id_),
        "email": lambda text: User.email.icontains(text, autoescape=True),
    },
    related={
        "projects": lambda id_: (
            select(Membership.project_id).where(Membership.user_id == id_).order_by(Membership.project_id)
        )
    },
)
PROJECTS = Inventory(
    name="Project",
    id=Project.id,
    columns=(
        Project.id,
        Project.uuid,
        Project.organization_id.label("organization"),
        Project.name,
        Project.created_at,
    ),
    filters={"organization": lambda id_: Project.organization_id == id_},
    related={
        "members": lambda id_: (
            select(Membership.user_id).where(Membership.project_id == id_).order_by(Membership.user_id)
        )
    },
)
ORGANIZATIONS = Inventory(
    name="Organization",
    id=Organization.id,
    columns=(Organization.id, Organization.name, Organization.created_at),
)
KEYS = Inventory(
    name="Key",
    id=ApiKey.id,
    columns=(
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
    ),
    order=(ApiKey.created_at,),
    filters={"user": lambda id_: ApiKey.user_id == id_, "mask": lambda mask: ApiKey.mask == mask},
)
INTEGRATIONS = Inventory(
    name="Integration",
    id=Integration.id,
    columns=(
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
    ),
    filters={"project": lambda id_: Integration.project_id == id_},
)


async def list_rows(
    session: AsyncSession, kind: Inventory, given: Mapping[str, Any], *, limit: int, offset: int
) -> Listing:
    """Return the number of rows that meet the `given` filters (None: any), and one page of them, oldest first."""
    conditions = [kind.filters[name](value) for name, value in given.items() if value is not None]
    rows = select(*kind.columns).where(*conditions)
    count = await session.scalar(select(func.count()).select_from(rows.subquery()))
    page = rows.order_by(*kind.order, kind.id).limit(min(limit, MAX_LIMIT)).offset(offset)
    return {"count": count, "results": [row._asdict() for row in await session.execute(page)]}


async def show_row(session: AsyncSession, kind: Inventory, key: Any) -> Listing:
    """Return one row, with at most a thousand ids of each kind that is related to it."""
    row = (await session.execute(select(*kind.columns).where(kind.id == key))).one_or_none()
    if row is None:
        raise NotFound(f"{kind.name} {key} does not exist.")
    related = {
        name: list(await session.scalars(select_ids(key).limit(MAX_LIMIT)))
        for name, select_ids in kind.related.items()
    }
    return {**row._asdict(), **related}
