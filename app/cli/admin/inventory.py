"""`taskbeacon admin`: list and show accounts, keys and integrations. No output contains a secret."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click
from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import InstrumentedAttribute

from app.cli.admin.transaction import ROW_ID, AdminTransaction, Output, admin, transactional
from app.errors import NotFound
from app.models import ApiKey, Integration, Membership, Organization, Project, User

_MAX_LIMIT = 1000
_PAGE, _SKIPPED = click.IntRange(1, _MAX_LIMIT), click.IntRange(0, 2**31 - 1)
# The type of an option, the condition that its value sets for a row, and its help.
_Filter = tuple[click.ParamType[Any], Callable[[Any], ColumnElement[bool]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of rows: its columns as they are shown, and the options by which a list can be limited."""

    name: str
    # Columns by which a list is sorted. The last one is the id, so that the order is total.
    order: tuple[InstrumentedAttribute[Any], ...]
    columns: tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...]
    filters: Mapping[str, _Filter] = field(default_factory=dict)
    # Lists of ids that are shown with a row: by the name of a list, the SELECT that finds it for the row's id.
    related: Mapping[str, Callable[[Any], Select[int]]] = field(default_factory=dict)


def _add_list(kind: _Kind, text: str) -> None:
    options = [
        click.Option([f"--{name}"], type=type_, help=help_)
        for name, (type_, _, help_) in kind.filters.items()
    ]

    @admin.command(f"list-{kind.name}s", params=options, help=text)
    @click.option("--limit", type=_PAGE, default=100, show_default=True, help="Maximum number of entries.")
    @click.option("--offset", type=_SKIPPED, default=0, show_default=True, help="Number of entries to skip.")
    @transactional
    async def list_rows(
        transaction: AdminTransaction, /, *, limit: int, offset: int, **values: Any
    ) -> Output:
        filters = [kind.filters[name][1](value) for name, value in values.items() if value is not None]
        rows = select(*kind.columns).where(*filters)
        count = await transaction.session.scalar(select(func.count()).select_from(rows.subquery()))
        page = await transaction.session.execute(rows.order_by(*kind.order).limit(limit).offset(offset))
        return {"count": count, "results": [row._asdict() for row in page]}


def _add_show(kind: _Kind, type_: click.ParamType[Any], text: str) -> None:
    @admin.command(f"show-{kind.name}", help=text)
    @click.option(f"--{kind.name}", "key", type=type_, required=True, help=f"Id of the {kind.name}.")
    @transactional
    async def show_row(transaction: AdminTransaction, *, key: Any) -> Output:
        statement = select(*kind.columns).where(kind.order[-1] == key)
        row = (await transaction.session.execute(statement)).one_or_none()
        if row is None:
            raise NotFound(f"{kind.name.capitalize()} {key} does not exist.")
        related = {
            name: list(await transaction.session.scalars(select_ids(key).limit(_MAX_LIMIT)))
            for name, select_ids in kind.related.items()
        }
        return {**row._asdict(), **related}


_ORGANIZATIONS = _Kind(
    name="organization",
    order=(Organization.id,),
    columns=(Organization.id, Organization.name, Organization.created_at),
)
_add_list(_ORGANIZATIONS, "List the organizations, each a group of projects.")

_PROJECTS = _Kind(
    name="project",
    order=(Project.id,),
    columns=(
        Project.id,
        Project.uuid,
        Project.organization_id.label("organization"),
        Project.name,
        Project.created_at,
    ),
    filters={
        "organization": (
            click.UUID,
            lambda id_: Project.organization_id == id_,
            "Projects of this organization only.",
        )
    },
    related={
        "members": lambda id_: (
            select(Membership.user_id).where(Membership.project_id == id_).order_by(Membership.user_id)
        )
    },
)
_add_list(_PROJECTS, "List projects. All, or those of one organization.")
_add_show(_PROJECTS, ROW_ID, "Show a project and its members. An unknown project is an error.")

_USERS = _Kind(
    name="user",
    order=(User.id,),
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
        "project": (
            ROW_ID,
            lambda id_: exists().where(Membership.user_id == User.id, Membership.project_id == id_),
            "Members of this project only.",
        ),
        "email": (
            click.STRING,
            lambda text: User.email.icontains(text, autoescape=True),
            "Users with this text in their address; case is ignored.",
        ),
    },
    related={
        "projects": lambda id_: (
            select(Membership.project_id).where(Membership.user_id == id_).order_by(Membership.project_id)
        )
    },
)
_add_list(
    _USERS,
    "List users. All, or only the members of a project, or only those with a text in their e-mail address. "
    "If both filters are given, a user must satisfy both.",
)
_add_show(_USERS, ROW_ID, "Show a user and their projects. An unknown user is an error.")

_KEYS = _Kind(
    name="key",
    order=(ApiKey.created_at, ApiKey.id),
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
    filters={
        "user": (ROW_ID, lambda id_: ApiKey.user_id == id_, "Keys of this user only."),
        "mask": (
            click.STRING,
            lambda mask: ApiKey.mask == mask,
            "Keys with this mask, for example phx_...a1b2.",
        ),
    },
)
_add_list(
    _KEYS,
    "List keys, with last use and expiry. Revoked ones too; a use is noted at most once an hour. All, or "
    "those of a user, or with a mask, the shortened form of a key, or both.",
)
_add_show(_KEYS, click.UUID, "Show a key, without its value. An unknown key is an error.")

_INTEGRATIONS = _Kind(
    name="integration",
    order=(Integration.id,),
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
    filters={
        "project": (ROW_ID, lambda id_: Integration.project_id == id_, "Integrations of this project only.")
    },
)
_add_list(_INTEGRATIONS, "List integrations, which connect to code hosts. All, or those of one project.")
_add_show(
    _INTEGRATIONS,
    ROW_ID,
    "Show an integration, without its secrets. An unknown integration is an error.",
)
