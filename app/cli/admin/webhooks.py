"""`taskbeacon admin`: webhook endpoints of all users, and the ledger of events."""

from datetime import timedelta
from uuid import UUID

import click

from app.cli.admin.transaction import Output, Transaction, Upkeep, transactional, upkeep
from app.services.events.sweep import prune_events
from app.services.webhook_endpoints import admin as webhook_admin


@click.group("webhooks")
def webhooks() -> None:
    """Commands for webhooks: list endpoints, send a test event, repeat a webhook delivery."""


@webhooks.command("list")
@click.option("--project", type=click.IntRange(1, 2**63 - 1), help="Only those of this project.")
@transactional
async def list_webhooks(job: Transaction, *, project: int | None) -> Output:
    """List webhook endpoints, each with its owner and its numbers of pending and failed deliveries."""
    results = await webhook_admin.list_all(job.session, project_id=project)
    return {"count": len(results), "results": results}


@webhooks.command("ping")
@click.option("--endpoint", type=click.UUID, required=True, help="Id of the endpoint.")
@transactional
async def ping_webhook(job: Transaction, *, endpoint: UUID) -> Output:
    """Queue a test event for a webhook endpoint, and print the id of its delivery."""
    return {"delivery_id": await webhook_admin.ping(job.session, endpoint)}


@webhooks.command("redeliver")
@click.option("--delivery", type=click.UUID, required=True, help="Id of the delivery.")
@transactional
async def redeliver_webhook(job: Transaction, *, delivery: UUID) -> Output:
    """Queue a webhook delivery again: the same event, with the same message id."""
    return {"delivery_id": await webhook_admin.redeliver(job.session, delivery)}


@click.group("events")
def events() -> None:
    """Commands for the ledger of events: delete old events."""


@events.command("prune")
@upkeep
async def prune(job: Upkeep) -> Output:
    """Delete events older than the retention time, as a worker does every hour; print their number."""
    kept = timedelta(days=job.settings.event_retention_days)
    return {"removed": await prune_events(job.sessions, kept)}
