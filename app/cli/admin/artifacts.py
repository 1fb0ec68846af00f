"""`taskbeacon admin`: delete unreachable files."""

from collections import Counter

import click

from app.cli.admin.transaction import Output, Upkeep, upkeep
from app.clients.object_store import ObjectStore, ObjectStoreUnavailable
from app.services.artifacts import sweep as artifact_sweep


@click.command("sweep-artifacts")
@click.option("--dry-run", is_flag=True, help="Only list what would be deleted.")
@upkeep
async def sweep_artifacts(job: Upkeep, *, dry_run: bool) -> Output:
    """Delete stored files that no request can reach, as a worker does every hour; print them with the reasons."""
    listed: list[artifact_sweep.SweptObject] = []
    try:
        async with ObjectStore(job.settings) as store:
            sweep = await artifact_sweep.sweep_artifacts(job.sessions, store, dry_run=dry_run, listed=listed)
    except ObjectStoreUnavailable as error:
        raise click.ClickException(f"the object store does not answer: {error}") from error
    return {
        "dry_run": dry_run,
        "expired_entries": sweep.expired_entries,
        "removed": sweep.removed,
        "bytes": sum(swept.size for swept in listed),
        "reasons": dict(Counter(swept.reason for swept in listed)),
        "objects": [{"key": swept.key, "size": swept.size, "reason": swept.reason} for swept in listed],
    }
