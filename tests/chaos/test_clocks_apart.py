"""Two APIs and two workers with clocks three minutes apart perform runs together."""

import asyncio
from uuid import UUID

import httpx
import pytest

from app.clients.storage.object_store import ObjectStore
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.shifted_clock import taskbeacon_ahead
from tests.support.deployment.site import Site, work
from tests.support.stand_ins.push import PushService

APART = 90
RUNS_EACH = 15

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


async def test_machines_with_clocks_apart_lose_and_double_nothing(
    site: Site, store: ObjectStore, push_service: PushService
) -> None:
    ahead, behind = taskbeacon_ahead(APART), taskbeacon_ahead(-APART)
    accepted: list[UUID] = []

    async def start_runs(api: httpx.AsyncClient) -> None:
        for number in range(RUNS_EACH):
            task = await api.post("/", json={"title": f"Task {number}", "description": work()})
            assert task.status_code == 201, task.text
            run = await api.post(f"/{task.json()['id']}/run/")
            assert run.status_code == 200, run.text
            accepted.append(UUID(run.json()["latest_run"]["id"]))

    async with site.api(ahead) as one, site.api(behind) as other:
        workers = [site.start_worker(ahead), site.start_worker(behind)]
        await asyncio.gather(start_runs(one), start_runs(other))
        await site.wait_until_over(2 * RUNS_EACH)
        await wait_for_pushes(push_service, 2 * RUNS_EACH)
    assert [await worker.stop() for worker in workers] == [0, 0]

    ledger = await take_stock(site, store, accepted=accepted, pushes=push_service)
    ledger.require_balance()
    assert ledger.statuses == {"completed": 2 * RUNS_EACH}
    assert {run.attempts for run in await site.rows()} == {1}
    # Both have worked: neither takes the other's jobs for not due, nor its leases for lapsed.
    assert all("run.agent_spawned" in worker.log.read_text() for worker in workers)
