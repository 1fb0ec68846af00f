"""`taskbeacon admin`: list and show accounts, keys and integrations. No output contains a secret."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import click

from app.cli.admin.transaction import ROW_ID, Output, Transaction, transactional
from app.services.accounts import inventory


def _page(command: Callable[..., Any]) -> Callable[..., Any]:
    limit = click.option(
        "--limit",
        type=click.IntRange(1, inventory.MAX_LIMIT),
        default=100,
        show_default=True,
        help="Maximum number of entries.",
    )
    offset = click.option(
        "--offset",
        type=click.IntRange(0, 2**31 - 1),
        default=0,
        show_default=True,
        help="Number of entries to skip.",
    )
    return limit(offset(command))


@click.command("list-users")
@click.option("--project", type=ROW_ID, help="Members of this project only.")
@click.option("--email", help="Users with this text in their address; case is ignored.")
@_page
@transactional
async def list_users(
    transaction: Transaction, project: int | None, email: str | None, limit: int, offset: int
) -> Output:
    """List all users, or only the members of a project, or only those with a text in their e-mail address.

    If both filters are given, a user must satisfy both.
    """
    return await inventory.list_users(
        transaction.session, project_id=project, email=email, limit=limit, offset=offset
    )


@click.command("list-projects")
@click.option("--organization", type=click.UUID, help="Projects of this organization only.")
@_page
@transactional
async def list_projects(
    transaction: Transaction, organization: UUID | None, limit: int, offset: int
) -> Output:
    """List projects: all, or those of one organization."""
    return await inventory.list_projects(
        transaction.session, organization_id=organization, limit=limit, offset=offset
    )


@click.command("list-organizations")
@_page
@transactional
async def list_organizations(transaction: Transaction, limit: int, offset: int) -> Output:
    """List the organizations, each a group of projects."""
    return await inventory.list_organizations(transaction.session, limit=limit, offset=offset)


@click.command("list-keys")
@click.option("--user", type=ROW_ID, help="Keys of this user only.")
@click.option("--mask", help="Keys with this mask, for example phx_...a1b2.")
@_page
@transactional
async def list_keys(
    transaction: Transaction, user: int | None, mask: str | None, limit: int, offset: int
) -> Output:
    """List API keys, including revoked ones, with the times of their last use and of their expiry.

    All keys are listed, or only those of a user, or only those with a mask, which is the shortened form of a key. If
    both filters are given, a key must satisfy both. The time of the last use is updated at most once an hour.
    """
    return await inventory.list_keys(transaction.session, user_id=user, mask=mask, limit=limit, offset=offset)


@click.command("list-integrations")
@click.option("--project", type=ROW_ID, help="Integrations of this project only.")
@_page
@transactional
async def list_integrations(transaction: Transaction, project: int | None, limit: int, offset: int) -> Output:
    """List integrations (connections to code hosts): all, or those of one project."""
    return await inventory.list_integrations(
        transaction.session, project_id=project, limit=limit, offset=offset
    )


@click.command("show-user")
@click.option("--user", type=ROW_ID, required=True, help="Id of the user.")
@transactional
async def show_user(transaction: Transaction, user: int) -> Output:
    """Show a user and their projects. An unknown user is an error."""
    return await inventory.show_user(transaction.session, user)


@click.command("show-project")
@click.option("--project", type=ROW_ID, required=True, help="Id of the project.")
@transactional
async def show_project(transaction: Transaction, project: int) -> Output:
    """Show a project and its members. An unknown project is an error."""
    return await inventory.show_project(transaction.session, project)


@click.command("show-key")
@click.option("--key", type=click.UUID, required=True, help="Id of the key.")
@transactional
async def show_key(transaction: Transaction, key: UUID) -> Output:
    """Show an API key, given by its id, without its value. An unknown key is an error."""
    return await inventory.show_key(transaction.session, key)


@click.command("show-integration")
@click.option("--integration", type=ROW_ID, required=True, help="Id of the integration.")
@transactional
async def show_integration(transaction: Transaction, integration: int) -> Output:
    """Show an integration (a connection to a code host), without its secrets. An unknown integration is an error."""
    return await inventory.show_integration(transaction.session, integration)
