"""`taskbeacon admin`: organizations, projects, their members, users, and personal API keys."""

from datetime import datetime
from uuid import UUID

import click

from app.cli.admin.transaction import ROW_ID, AdminTransaction, Output, admin, transactional
from app.enums import PushText, Scope
from app.models import Project
from app.schemas.fields import parse_timestamp
from app.services.accounts import administration, api_keys
from app.services.accounts.account_fields import clean_name

_name = click.option("--name", required=True)
_project = click.option("--project", type=ROW_ID, required=True, help="Id of the project.")
_user = click.option("--user", type=ROW_ID, required=True, help="Id of the user.")


@admin.command("create-organization")
@_name
@transactional
async def create_organization(transaction: AdminTransaction, name: str) -> Output:
    """Add an organization, which groups projects. Print its id and name; several can have the same name."""
    organization = await administration.create_organization(transaction.session, name)
    return {"id": organization.id, "name": organization.name}


@admin.command("create-project")
@_name
@click.option(
    "--organization",
    type=click.UUID,
    help=f"Id of its organization. Default: the one called “{administration.DEFAULT_ORGANIZATION}”, created if "
    "missing.",
)
@transactional
async def create_project(transaction: AdminTransaction, name: str, organization: UUID | None) -> Output:
    """Add a project to an organization. Print the project."""
    return _describe(
        await administration.create_project(transaction.session, name, organization_id=organization)
    )


@admin.command("rename-project")
@_project
@_name
@transactional
async def rename_project(transaction: AdminTransaction, project: int, name: str) -> Output:
    """Rename a project and the slugs of its tasks."""
    return _describe(await administration.update_project(transaction.session, project, name=clean_name(name)))


@admin.command("limit-push-text")
@_project
@click.option(
    "--most",
    type=click.Choice([*(text.value for text in PushText), "any"]),
    required=True,
    help="generic: no titles; title: no question; full or any: what each person prefers.",
)
@transactional
async def limit_push_text(transaction: AdminTransaction, project: int, most: str) -> Output:
    """Limit what pushes about a project's tasks say.

    The most detailed level permitted is `generic`, `title` or `full`; `any` removes the limit. Print the id of the
    project and its limit.
    """
    limit = None if most == "any" else PushText(most)
    limited = await administration.update_project(transaction.session, project, push_text=limit)
    return {"project": limited.id, "push_text": limited.push_text}


@admin.command("let-agents-notify")
@_project
@click.option("--allow/--refuse", "may", required=True, help="Whether agents get the tool notify_user.")
@transactional
async def let_agents_notify(transaction: AdminTransaction, project: int, may: bool) -> Output:
    """Decide whether agents may notify people. They are the agents of one project, and the people of its tasks."""
    changed = await administration.update_project(transaction.session, project, notify_user=may)
    return {"project": changed.id, "notify_user": changed.notify_user}


@admin.command("create-user")
@click.option("--email", required=True)
@click.option("--first-name", default="")
@click.option("--last-name", default="")
@click.option("--staff", is_flag=True, help="Allow the user to list internal tasks.")
@click.option(
    "--project",
    type=ROW_ID,
    multiple=True,
    help="Make the user a member. May be repeated; the first becomes their current project (@current).",
)
@transactional
async def create_user(
    transaction: AdminTransaction,
    email: str,
    first_name: str,
    last_name: str,
    staff: bool,
    project: tuple[int, ...],
) -> Output:
    """Add a user. The e-mail address must be new; print the ids."""
    user = await administration.create_user(
        transaction.session,
        email,
        first_name=first_name,
        last_name=last_name,
        is_staff=staff,
        project_ids=project,
    )
    return {"id": user.id, "uuid": user.uuid, "distinct_id": user.distinct_id, "email": user.email}


@admin.command("add-member")
@_project
@_user
@transactional
async def add_member(transaction: AdminTransaction, project: int, user: int) -> Output:
    """Add a user to a project. It becomes the current one of a user without one."""
    await administration.add_member(transaction.session, project_id=project, user_id=user)
    return {"project": project, "user": user}


@admin.command("remove-member")
@_project
@_user
@transactional
async def remove_member(transaction: AdminTransaction, project: int, user: int) -> Output:
    """Remove a user from a project; their tasks stay."""
    await administration.remove_member(transaction.session, project_id=project, user_id=user)
    return {"project": project, "user": user}


@admin.command("deactivate-user")
@_user
@transactional
async def deactivate_user(transaction: AdminTransaction, user: int) -> Output:
    """Deactivate an account: its keys stop working. No data is deleted."""
    await administration.deactivate_user(transaction.session, user)
    return {"id": user}


@admin.command("delete-user")
@_user
@transactional
async def delete_user(transaction: AdminTransaction, user: int) -> Output:
    """Delete an account and its keys. The user's tasks become visible to the whole project."""
    await administration.delete_user(transaction.session, user)
    return {"id": user}


def _describe(project: Project) -> Output:
    return {"id": project.id, "organization": project.organization_id, "name": project.name}


def _read_instant(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    if (instant := parse_timestamp(value)) is None:
        raise click.BadParameter(f"{value!r} is neither a date nor an instant in ISO 8601.")
    return instant


@admin.command("create-key")
@_user
@click.option(
    "--scope",
    multiple=True,
    required=True,
    help=f"What the key may do; may be repeated. One of: {', '.join(Scope)}.",
)
@click.option("--project", type=ROW_ID, multiple=True, help="Limit the key to this project; may be repeated.")
@click.option(
    "--organization",
    type=click.UUID,
    multiple=True,
    help="Limit the key to this organization; may be repeated.",
)
@click.option("--label", default="", help="Purpose of the key, at most 40 characters.")
@click.option(
    "--expires",
    callback=_read_instant,
    help="Expiry: a date (2027-01-31, from its start in UTC) or a time (2027-01-31T12:00:00Z).",
)
@transactional
async def create_key(
    transaction: AdminTransaction,
    user: int,
    scope: tuple[str, ...],
    project: tuple[int, ...],
    organization: tuple[UUID, ...],
    label: str,
    expires: datetime | None,
) -> Output:
    """Create a key; its value is shown once. It is for all projects and for ever unless limited."""
    key = await api_keys.create_api_key(
        transaction.session,
        user_id=user,
        scopes=scope,
        label=label,
        limits=api_keys.KeyLimits(project_ids=project, organization_ids=organization, expires_at=expires),
    )
    shown: Output = {"id": key.id, "value": key.value, "mask": key.mask, "scopes": list(key.scopes)}
    return shown if expires is None else {**shown, "expires_at": expires}


@admin.command("revoke-key")
@click.option("--key", type=click.UUID, help="Id of the key.")
@click.option("--mask", help="Mask of the key, instead of its id, for example phx_...a1b2.")
@transactional
async def revoke_key(transaction: AdminTransaction, key: UUID | None, mask: str | None) -> Output:
    """Revoke a key, given by its id or its mask. The output has its id.

    An unknown id is an error, and so is a mask that no active key has, or several have: no key is revoked then.
    """
    if (key is None) == (mask is None):
        raise click.UsageError("Give either --key or --mask.")
    if key is None:
        assert mask is not None
        key = await api_keys.find_by_mask(transaction.session, mask)
    await api_keys.revoke_api_key(transaction.session, key)
    return {"id": key}
