"""`taskbeacon admin`: code hosts and signal reports."""

import click

from app.cli.admin.transaction import ROW_ID, Answer, Transaction, transactional
from app.services import integrations

__all__ = ["create_integration", "create_signal_report", "create_user_integration"]

_STANDARD_INPUT = "-"
_LONGEST_INPUT = 10_000


def _read_token(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value != _STANDARD_INPUT:
        return value
    try:
        with click.open_file("-", encoding="utf-8") as stream:
            return str(stream.read(_LONGEST_INPUT))
    except (AttributeError, OSError, ValueError) as error:  # closed (click meets None), unreadable, not UTF-8
        raise click.BadParameter("standard input holds no text.") from error


_project = click.option("--project", type=ROW_ID, required=True, help="Id of the project.")
_kind = click.option("--kind", type=click.Choice(integrations.KINDS), required=True)
_token = click.option(
    "--token",
    envvar="TASKBEACON_TOKEN",
    show_envvar=True,
    callback=_read_token,
    help="Access token; - reads it from standard input. Arguments are visible to other users of this machine.",
)


@click.command("create-integration")
@_project
@_kind
@_token
@click.option("--api-url", help="Base of the host's API, where it is not the public one.")
@click.option("--git-url", help="Where its repositories are cloned from; file:// works.")
@transactional
async def create_integration(
    transaction: Transaction,
    project: int,
    kind: str,
    token: str | None,
    api_url: str | None,
    git_url: str | None,
) -> Answer:
    """Give a project access to a code host."""
    integration = await integrations.create_integration(
        transaction.session,
        transaction.cipher,
        project_id=project,
        kind=kind,
        token=token,
        api_url=api_url,
        git_url=git_url,
    )
    return {"id": integration.id}


@click.command("create-user-integration")
@click.option("--user", type=ROW_ID, required=True, help="Id of the user.")
@_kind
@_token
@transactional
async def create_user_integration(
    transaction: Transaction, user: int, kind: str, token: str | None
) -> Answer:
    """Give a user access of their own to a code host."""
    integration = await integrations.create_user_integration(
        transaction.session, transaction.cipher, user_id=user, kind=kind, token=token
    )
    return {"id": integration.id}


@click.command("create-signal-report")
@_project
@click.option("--title", default="")
@transactional
async def create_signal_report(transaction: Transaction, project: int, title: str) -> Answer:
    """Add a signal report that tasks can be made for."""
    report = await integrations.create_signal_report(transaction.session, project_id=project, title=title)
    return {"id": report.id}
