"""`taskbeacon admin`: code hosts, webhooks, web push, stored secrets, events and files. No output contains a secret."""

import json
from collections import Counter
from datetime import timedelta
from functools import partial
from uuid import UUID

import click

from app.cli.admin.transaction import ROW_ID, AdminTransaction, Output, admin, transactional
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectStoreUnavailable
from app.clients.web_push.vapid import VapidKey
from app.db.sweeping import until_none_is_left
from app.enums import CodeHostKind
from app.services.accounts import integrations, secret_rotation
from app.services.accounts.integrations import AppInstallation
from app.services.artifacts.bucket_comparison import compare_files
from app.services.events.event_sweep import prune_events
from app.services.webhook_endpoints import webhook_administration

_STANDARD_INPUT = "-"
_LONGEST_INPUT = 10_000


def _read_token(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return _read(value) if value == _STANDARD_INPUT else value


def _read_key(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else _read(value)


def _read(path: str) -> str:
    try:
        with click.open_file(path, encoding="utf-8") as stream:
            return str(stream.read(_LONGEST_INPUT))
    except (AttributeError, OSError, ValueError) as error:  # a closed stdin is None; unreadable; not UTF-8
        fault = "standard input holds no text." if path == _STANDARD_INPUT else f"{path} cannot be read."
        raise click.BadParameter(fault) from error


_project = click.option("--project", type=ROW_ID, required=True, help="Id of the project.")
_kind = click.option("--kind", type=click.Choice([kind.value for kind in CodeHostKind]), required=True)
_token = click.option(
    "--token",
    envvar="TASKBEACON_TOKEN",
    show_envvar=True,
    callback=_read_token,
    help="Access token; - reads it from standard input. Arguments are visible to other users of this machine.",
)


@admin.command("create-integration")
@_project
@_kind
@_token
@click.option("--app-id", help="Id or client id of a GitHub App, instead of a token.")
@click.option("--installation-id", help="Id of the App's installation.")
@click.option(
    "--private-key-file",
    "private_key",
    callback=_read_key,
    help="Private key of the App; - reads it from input.",
)
@click.option(
    "--webhook-secret",
    envvar="TASKBEACON_WEBHOOK_SECRET",
    show_envvar=True,
    callback=_read_token,
    help="Secret that signs the webhooks of the host; - reads it from standard input.",
)
@click.option("--api-url", help="Base URL of the host's API, if it is not the public one.")
@click.option("--git-url", help="Base URL of its repositories; file:// works.")
@transactional
async def create_integration(
    transaction: AdminTransaction,
    project: int,
    kind: str,
    token: str | None,
    app_id: str | None,
    installation_id: str | None,
    private_key: str | None,
    webhook_secret: str | None,
    api_url: str | None,
    git_url: str | None,
) -> Output:
    """Connect a project to a code host. Print the id of the integration.

    The credential is either an access token, or an installation of a GitHub App with three values: the App's id, the
    installation's id and the App's private key. If neither is given, git connects without a credential.
    """
    integration = await integrations.create_integration(
        transaction.session,
        transaction.cipher,
        project_id=project,
        new=integrations.NewIntegration(
            kind=kind,
            token=token,
            installation=_installation(app_id, installation_id, private_key),
            webhook_secret=webhook_secret,
            api_url=api_url,
            git_url=git_url,
        ),
    )
    return {"id": integration.id}


def _installation(
    app_id: str | None, installation_id: str | None, private_key: str | None
) -> AppInstallation | None:
    if app_id is None and installation_id is None and private_key is None:
        return None
    if app_id is None or installation_id is None or private_key is None:
        raise click.UsageError("--app-id, --installation-id and --private-key-file go together.")
    return AppInstallation(app_id=app_id, installation_id=installation_id, private_key=private_key)


@admin.command("create-user-integration")
@click.option("--user", type=ROW_ID, required=True, help="Id of the user.")
@_kind
@_token
@transactional
async def create_user_integration(
    transaction: AdminTransaction, user: int, kind: str, token: str | None
) -> Output:
    """Link a user's own account at a code host. Print the id of the integration."""
    integration = await integrations.create_user_integration(
        transaction.session, transaction.cipher, user_id=user, kind=kind, token=token
    )
    return {"id": integration.id}


@admin.command("create-signal-report")
@_project
@click.option("--title", default="")
@transactional
async def create_signal_report(transaction: AdminTransaction, project: int, title: str) -> Output:
    """Add a signal report that tasks can refer to. It is a finding about a product; print its id."""
    report = await integrations.create_signal_report(transaction.session, project_id=project, title=title)
    return {"id": report.id}


@admin.command("rotate-secrets")
@transactional
async def rotate_secrets(transaction: AdminTransaction) -> Output:
    """Encrypt all stored secrets with the newest key.

    It is the first of TASKBEACON_SECRET_KEYS. The output has the number of secrets that were encrypted again, and the
    number of those that stay unchanged because no key of this setting can decrypt them. Afterwards the other keys can
    be removed from this setting.
    """
    return dict(await secret_rotation.rotate_secrets(transaction.sessions, transaction.cipher))


@admin.group("webhooks")
def webhooks() -> None:
    """List, test and repeat webhooks."""


@webhooks.command("list")
@click.option("--project", type=ROW_ID, help="Only those of this project.")
@transactional
async def list_webhooks(transaction: AdminTransaction, *, project: int | None) -> Output:
    """List webhook endpoints. Each has its owner and its numbers of pending and failed deliveries."""
    results = await webhook_administration.list_all(transaction.session, project_id=project)
    return {"count": len(results), "results": results}


@webhooks.command("ping")
@click.option("--endpoint", type=click.UUID, required=True, help="Id of the endpoint.")
@transactional
async def ping_webhook(transaction: AdminTransaction, *, endpoint: UUID) -> Output:
    """Queue a test event for a webhook endpoint. Print the id of its delivery."""
    return {"delivery_id": await webhook_administration.ping(transaction.session, endpoint)}


@webhooks.command("redeliver")
@click.option("--delivery", type=click.UUID, required=True, help="Id of the delivery.")
@transactional
async def redeliver_webhook(transaction: AdminTransaction, *, delivery: UUID) -> Output:
    """Queue a webhook delivery again. It has the same event, with the same message id."""
    return {"delivery_id": await webhook_administration.redeliver(transaction.session, delivery)}


@admin.group("events")
def events() -> None:
    """Maintain the ledger of events."""


@events.command("prune")
@transactional
async def prune(transaction: AdminTransaction) -> Output:
    """Delete events older than the retention time, as a worker does every hour; print their number."""
    days = transaction.settings.event_retention_days
    pruning = partial(prune_events, kept=timedelta(days=days))
    return {"removed": await until_none_is_left(transaction.sessions, pruning) if days else 0}


@admin.command("check-files")
@transactional
async def check_files(transaction: AdminTransaction) -> Output:
    """Find rows whose file is missing or has another size, and files without a row. Print each, then their numbers."""
    counts = Counter(same=0, missing=0, differs=0, without_row=0)
    try:
        async with ObjectStore(transaction.settings) as store:
            async for file in compare_files(transaction.sessions, store):
                counts[file.found] += 1
                if file.found != "same":
                    click.echo(json.dumps(file._asdict(), default=str))
    except ObjectStoreUnavailable as error:
        raise click.ClickException(f"cannot compare the bucket: {error}") from error
    return dict(counts)


@admin.command("create-vapid-key")
def create_vapid_key() -> None:
    """Create a key pair for web push and print it. To use it, set TASKBEACON_VAPID_PRIVATE_KEY to the private key.

    Browsers subscribe with the public key, so a new pair makes all existing subscriptions invalid.
    """
    private_key = VapidKey.generate()
    answer = {"private_key": private_key.get_secret_value(), "public_key": VapidKey(private_key).public_key}
    click.echo(json.dumps(answer))
