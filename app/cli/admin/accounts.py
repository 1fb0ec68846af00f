"""`taskbeacon admin`: organizations, projects, their members, and users."""

from uuid import UUID

import click

from app.cli.admin.transaction import ROW_ID, Output, Transaction, transactional
from app.enums import PushText
from app.models import Project
from app.services.accounts import accounts

_name = click.option("--name", required=True)
_project = click.option("--project", type=ROW_ID, required=True, help="Id of the project.")
_user = click.option("--user", type=ROW_ID, required=True, help="Id of the user.")


@click.command("create-organization")
@_name
@transactional
async def create_organization(transaction: Transaction, name: str) -> Output:
    """Add an organization, which groups projects. Print its id and name; several can have the same name."""
    organization = await accounts.create_organization(transaction.session, name)
    return {"id": organization.id, "name": organization.name}


@click.command("create-project")
@_name
@click.option(
    "--organization",
    type=click.UUID,
    help=f"Id of its organization. Default: the one called “{accounts.DEFAULT_ORGANIZATION}”, created if missing.",
)
@transactional
async def create_project(transaction: Transaction, name: str, organization: UUID | None) -> Output:
    """Add a project to an organization, the given one or else the default one, and print the project."""
    return _describe(await accounts.create_project(transaction.session, name, organization_id=organization))


@click.command("rename-project")
@_project
@_name
@transactional
async def rename_project(transaction: Transaction, project: int, name: str) -> Output:
    """Rename a project; this changes the slugs of its tasks."""
    return _describe(await accounts.rename_project(transaction.session, project, name))


@click.command("limit-push-text")
@_project
@click.option(
    "--most",
    type=click.Choice([*(text.value for text in PushText), "any"]),
    required=True,
    help="generic: no titles; title: no question; full or any: what each person prefers.",
)
@transactional
async def limit_push_text(transaction: Transaction, project: int, most: str) -> Output:
    """Limit how much content of its tasks the pushes of a project may contain.

    The most detailed level permitted is `generic`, `title` or `full`; `any` removes the limit. Print the id of the
    project and its limit.
    """
    limit = None if most == "any" else PushText(most)
    limited = await accounts.limit_push_text(transaction.session, project, limit)
    return {"project": limited.id, "push_text": limited.push_text}


@click.command("let-agents-notify")
@_project
@click.option("--allow/--refuse", "may", required=True, help="Whether agents get the tool notify_user.")
@transactional
async def let_agents_notify(transaction: Transaction, project: int, may: bool) -> Output:
    """Allow or forbid the agents of a project to send push messages to the creators of its tasks."""
    changed = await accounts.let_agents_notify(transaction.session, project, may=may)
    return {"project": changed.id, "notify_user": changed.notify_user}


@click.command("create-user")
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
    transaction: Transaction,
    email: str,
    first_name: str,
    last_name: str,
    staff: bool,
    project: tuple[int, ...],
) -> Output:
    """Add a user, as a member of the given projects, with a new e-mail address; print the ids."""
    user = await accounts.create_user(
        transaction.session,
        email,
        first_name=first_name,
        last_name=last_name,
        is_staff=staff,
        project_ids=project,
    )
    return {"id": user.id, "uuid": user.uuid, "distinct_id": user.distinct_id, "email": user.email}


@click.command("add-member")
@_project
@_user
@transactional
async def add_member(transaction: Transaction, project: int, user: int) -> Output:
    """Add a user to a project; it becomes the current one of a user without one."""
    await accounts.add_member(transaction.session, project_id=project, user_id=user)
    return {"project": project, "user": user}


@click.command("remove-member")
@_project
@_user
@transactional
async def remove_member(transaction: Transaction, project: int, user: int) -> Output:
    """Remove a user from a project; their tasks stay."""
    await accounts.remove_member(transaction.session, project_id=project, user_id=user)
    return {"project": project, "user": user}


@click.command("deactivate-user")
@_user
@transactional
async def deactivate_user(transaction: Transaction, user: int) -> Output:
    """Deactivate a user's account: its API keys stop working, but no data is deleted."""
    await accounts.deactivate_user(transaction.session, user)
    return {"id": user}


@click.command("delete-user")
@_user
@transactional
async def delete_user(transaction: Transaction, user: int) -> Output:
    """Delete a user's account and API keys. The user's tasks become visible to the whole project."""
    await accounts.delete_user(transaction.session, user)
    return {"id": user}


def _describe(project: Project) -> Output:
    return {"id": project.id, "organization": project.organization_id, "name": project.name}
