"""Many runs with nothing injected: what fails here fails in production."""

import os

import pytest

from app.clients.storage.object_store import ObjectStore
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.site import Site, work
from tests.support.stand_ins.push import PushService

RUNS = int(os.environ.get("TASKBEACON_TEST_CHAOS_RUNS", "300"))
AT_A_TIME = 10

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


async def test_all_runs_complete_ten_at_a_time(
    site: Site, store: ObjectStore, push_service: PushService
) -> None:
    runs = await site.queue_runs(RUNS, work())
    worker = site.start_worker(TASKBEACON_WORKER_CONCURRENCY=str(AT_A_TIME))
    await site.wait_until_over(RUNS)
    await wait_for_pushes(push_service, RUNS)
    assert await worker.stop() == 0

    ledger = await take_stock(site, store, accepted=[run.id for run in runs], pushes=push_service)
    ledger.require_balance()
    assert ledger.statuses == {"completed": RUNS}
