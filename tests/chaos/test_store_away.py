"""The object store away while runs end: their results are waited for, and what is lost in the end is said."""

from pathlib import Path

import pytest

from app.clients.storage.object_store import ObjectStore
from app.enums import RunStatus
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.site import ARTIFACT, Site, read_log, work
from tests.support.stand_ins.outage import interruptible
from tests.support.stand_ins.push import PushService

RUNS = 10
# Pauses of 0.5, 1, 2, 4 and 8 seconds come before the sixth failure of a run.
FAILURES_IN_15_SECONDS = 6

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


async def test_outage_of_15_seconds_across_the_ends_of_runs_loses_nothing(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    runs = await site.queue_runs(RUNS, work(until=go_on))
    async with interruptible(site.settings.s3_endpoint_url or "") as between:
        worker = site.start_worker(
            TASKBEACON_S3_ENDPOINT_URL=between.url, TASKBEACON_WORKER_CONCURRENCY=str(RUNS)
        )
        await site.wait_until_agents_work(RUNS)
        await between.refuse()
        go_on.touch()
        await site.wait_until_logged(worker, "store.waited_for", times=RUNS * FAILURES_IN_15_SECONDS)
        assert not [run for run in await site.rows() if run.status != RunStatus.IN_PROGRESS]
        await between.resume()
        await site.wait_until_over(RUNS)
        await wait_for_pushes(push_service, RUNS)
        assert await worker.stop() == 0

    ledger = await take_stock(site, store, accepted=[run.id for run in runs], pushes=push_service)
    ledger.require_balance()
    assert ledger.statuses == {"completed": RUNS}


async def test_outage_that_outlasts_the_wait_completes_nothing_and_says_so(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    lost = await site.queue_runs(4, work(until=go_on))
    async with interruptible(site.settings.s3_endpoint_url or "") as between:
        worker = site.start_worker(
            TASKBEACON_S3_ENDPOINT_URL=between.url,
            TASKBEACON_WORKER_CONCURRENCY="4",
            TASKBEACON_WORKER_STORE_WAIT_SECONDS="2",
        )
        await site.wait_until_agents_work(len(lost))
        await between.refuse()
        go_on.touch()
        # Once the files of all are given up, the store comes back, in time for the last words of their logs.
        await site.wait_until_logged(worker, "artifact.not_stored", times=2 * len(lost))
        await between.resume()
        await site.wait_until_over(len(lost))
        # The worker lives on.
        good = await site.queue_runs(1, work())
        await site.wait_until_over(len(lost) + 1)
        await wait_for_pushes(push_service, len(lost) + 1)
        assert await worker.stop() == 0

    ledger = await take_stock(site, store, accepted=[run.id for run in [*lost, *good]], pushes=push_service)
    ledger.require_balance()
    assert ledger.statuses == {"failed": len(lost), "completed": 1}
    files = [ARTIFACT, "changes.patch"]
    for run in await site.rows():
        if run.status == RunStatus.FAILED:
            assert run.facts["not_stored"]["files"] == files
            assert f"could not be stored, and are lost: {', '.join(files)}." in (run.error_message or "")
            assert '"_taskbeacon/not_stored"' in await read_log(store, run)
