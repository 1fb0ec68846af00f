"""A worker with four runs that is told to stop: what does not end within its drain, another worker ends."""

from pathlib import Path

import pytest

from app.clients.redis import create_redis
from app.clients.storage.object_store import ObjectStore
from app.enums import RunStatus
from app.services.runs.queue.worker_reports import read_reports
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.site import Site, let_go_on, work
from tests.support.stand_ins.push import PushService
from tests.support.waiting import eventually

RUNS = 4
FOUR_SLOTS = {"TASKBEACON_WORKER_CONCURRENCY": str(RUNS)}

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


async def test_worker_takes_no_more_runs_and_goes_when_its_own_have_ended(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    go_on, redis = tmp_path / "go-on", create_redis(site.settings.redis_url)

    async def slots() -> list[int]:
        return sorted(report["slots"] for report in await read_reports(redis))

    runs = await site.queue_runs(RUNS, work(until=go_on))
    worker = site.start_worker(**FOUR_SLOTS, TASKBEACON_WORKER_DRAIN_SECONDS="500")
    await site.wait_until_agents_work(RUNS)
    worker.ask_to_stop()

    async def is_draining() -> bool:
        return await slots() == [0]

    await eventually(is_draining, within_seconds=60)
    [late] = await site.queue_runs(1, work())
    other = site.start_worker()
    await site.wait_until_over(1)
    assert await slots() == [0, 2]
    held = {row.id: row.status for row in await site.rows()}
    assert held == {late.id: RunStatus.COMPLETED} | {run.id: RunStatus.IN_PROGRESS for run in runs}
    assert worker.is_running

    let_go_on(go_on)
    await site.wait_until_gone(worker)
    assert [await each.stop() for each in (worker, other)] == [0, 0]
    await redis.aclose()
    await wait_for_pushes(push_service, RUNS + 1)
    assert {row.attempts for row in await site.rows()} == {1}
    accepted = [run.id for run in (*runs, late)]
    ledger = await take_stock(site, store, accepted=accepted, pushes=push_service)
    ledger.require_balance()
    assert ledger.statuses == {"completed": RUNS + 1}


async def test_runs_that_do_not_end_within_the_drain_are_ended_by_another_worker(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    runs = await site.queue_runs(RUNS, work(until=go_on))
    worker = site.start_worker(**FOUR_SLOTS, TASKBEACON_WORKER_DRAIN_SECONDS="1")
    await site.wait_until_agents_work(RUNS)
    worker.ask_to_stop()
    await site.wait_until_gone(worker)
    assert await worker.stop() == 0
    assert {(row.status, row.lease_owner) for row in await site.rows()} == {(RunStatus.QUEUED, None)}
    assert site.files_left() == []

    let_go_on(go_on)
    other = site.start_worker(**FOUR_SLOTS)
    await site.wait_until_over(RUNS)
    await wait_for_pushes(push_service, RUNS)
    assert await other.stop() == 0
    accepted = [run.id for run in runs]
    ledger = await take_stock(site, store, accepted=accepted, pushes=push_service, again=accepted)
    ledger.require_balance()
    assert ledger.statuses == {"completed": RUNS}
