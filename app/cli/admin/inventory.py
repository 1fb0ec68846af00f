"""`taskbeacon admin`: list and show accounts, keys and integrations. No output contains a secret."""

from collections.abc import Callable
from typing import Any

import click

from app.cli.admin.transaction import ROW_ID, Output, Transaction, transactional
from app.services.accounts import inventory
from app.services.accounts.inventory import Inventory

Option = Callable[[Any], Any]

_LIMIT = click.option(
    "--limit",
    type=click.IntRange(1, inventory.MAX_LIMIT),
    default=100,
    show_default=True,
    help="Maximum number of entries.",
)
_OFFSET = click.option(
    "--offset",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Number of entries to skip.",
)


def _listing(name: str, kind: Inventory, text: str, *filters: Option) -> click.Command:
    async def operation(transaction: Transaction, *, limit: int, offset: int, **given: Any) -> Output:
        return await inventory.list_rows(transaction.session, kind, given, limit=limit, offset=offset)

    command: Any = transactional(operation)
    for option in (_OFFSET, _LIMIT, *reversed(filters)):
        command = option(command)
    return click.command(name, help=text)(command)


def _showing(
    name: str, kind: Inventory, text: str, option: str, type_: click.ParamType[Any]
) -> click.Command:
    async def operation(transaction: Transaction, *, key: Any) -> Output:
        return await inventory.show_row(transaction.session, kind, key)

    chosen = click.option(f"--{option}", "key", type=type_, required=True, help=f"Id of the {option}.")
    return click.command(name, help=text)(chosen(transactional(operation)))


list_users = _listing(
    "list-users",
    inventory.USERS,
    "List all users, or only the members of a project, or only those with a text in their e-mail address. "
    "If both filters are given, a user must satisfy both.",
    click.option("--project", type=ROW_ID, help="Members of this project only."),
    click.option("--email", help="Users with this text in their address; case is ignored."),
)
list_projects = _listing(
    "list-projects",
    inventory.PROJECTS,
    "List projects: all, or those of one organization.",
    click.option("--organization", type=click.UUID, help="Projects of this organization only."),
)
list_organizations = _listing(
    "list-organizations", inventory.ORGANIZATIONS, "List the organizations, each a group of projects."
)
list_keys = _listing(
    "list-keys",
    inventory.KEYS,
    "List API keys, including revoked ones, with the times of their last use, which is noted at most once an hour, and "
    "of their expiry: all, or those of a user, or with a mask, the shortened form of a key, or both.",
    click.option("--user", type=ROW_ID, help="Keys of this user only."),
    click.option("--mask", help="Keys with this mask, for example phx_...a1b2."),
)
list_integrations = _listing(
    "list-integrations",
    inventory.INTEGRATIONS,
    "List integrations (connections to code hosts): all, or those of one project.",
    click.option("--project", type=ROW_ID, help="Integrations of this project only."),
)
show_user = _showing(
    "show-user",
    inventory.USERS,
    "Show a user and their projects. An unknown user is an error.",
    "user",
    ROW_ID,
)
show_project = _showing(
    "show-project",
    inventory.PROJECTS,
    "Show a project and its members. An unknown project is an error.",
    "project",
    ROW_ID,
)
show_key = _showing(
    "show-key",
    inventory.KEYS,
    "Show an API key, given by its id, without its value. An unknown key is an error.",
    "key",
    click.UUID,
)
show_integration = _showing(
    "show-integration",
    inventory.INTEGRATIONS,
    "Show an integration (a connection to a code host), without its secrets. An unknown integration is an error.",
    "integration",
    ROW_ID,
)
