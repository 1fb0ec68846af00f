"""`taskbeacon admin`: secrets, webhooks, the ledger of events, and the key pair of web push."""

import json
from datetime import timedelta
from uuid import UUID

import click

from app.cli.admin.transaction import ROW_ID, AdminTransaction, Output, Upkeep, admin, transactional, upkeep
from app.clients.web_push.vapid import VapidKey
from app.security import Cipher
from app.services.accounts import secret_rotation
from app.services.events.sweep import prune_events
from app.services.webhook_endpoints import admin as webhook_admin


@admin.command("rotate-secrets")
@upkeep
async def rotate_secrets(job: Upkeep) -> Output:
    """Encrypt all stored secrets with the newest key.

    It is the first of TASKBEACON_SECRET_KEYS. The output has the number of secrets that were encrypted again, and the
    number of those that stay unchanged because no key of this setting can decrypt them. Afterwards the other keys can
    be removed from this setting.
    """
    return dict(await secret_rotation.rotate_secrets(job.sessions, Cipher(job.settings.secret_keys)))


@admin.group("webhooks")
def webhooks() -> None:
    """List, test and repeat webhooks."""


@webhooks.command("list")
@click.option("--project", type=ROW_ID, help="Only those of this project.")
@transactional
async def list_webhooks(job: AdminTransaction, *, project: int | None) -> Output:
    """List webhook endpoints. Each has its owner and its numbers of pending and failed deliveries."""
    results = await webhook_admin.list_all(job.session, project_id=project)
    return {"count": len(results), "results": results}


@webhooks.command("ping")
@click.option("--endpoint", type=click.UUID, required=True, help="Id of the endpoint.")
@transactional
async def ping_webhook(job: AdminTransaction, *, endpoint: UUID) -> Output:
    """Queue a test event for a webhook endpoint. Print the id of its delivery."""
    return {"delivery_id": await webhook_admin.ping(job.session, endpoint)}


@webhooks.command("redeliver")
@click.option("--delivery", type=click.UUID, required=True, help="Id of the delivery.")
@transactional
async def redeliver_webhook(job: AdminTransaction, *, delivery: UUID) -> Output:
    """Queue a webhook delivery again. It has the same event, with the same message id."""
    return {"delivery_id": await webhook_admin.redeliver(job.session, delivery)}


@admin.group("events")
def events() -> None:
    """Maintain the ledger of events."""


@events.command("prune")
@upkeep
async def prune(job: Upkeep) -> Output:
    """Delete events older than the retention time, as a worker does every hour; print their number."""
    kept = timedelta(days=job.settings.event_retention_days)
    return {"removed": await prune_events(job.sessions, kept)}


@admin.command("create-vapid-key")
def create_vapid_key() -> None:
    """Create a key pair for web push and print it. To use it, set TASKBEACON_VAPID_PRIVATE_KEY to the private key.

    Browsers subscribe with the public key, so a new pair makes all existing subscriptions invalid.
    """
    private_key = VapidKey.generate()
    answer = {"private_key": private_key.get_secret_value(), "public_key": VapidKey(private_key).public_key}
    click.echo(json.dumps(answer))
