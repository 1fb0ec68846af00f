"""A Valkey that stops in the middle of everything and goes on later: connections stay, and nothing is answered."""

from uuid import UUID

import pytest

from app.clients.storage.object_store import ObjectStore
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.own_servers import OwnServers
from tests.support.deployment.site import Site, work
from tests.support.stand_ins.push import PushService

RUNS = 20
ASKED_MEANWHILE = 3
# Each failed look at the queue takes two seconds to fail and is followed by a pause of two.
LOOKS_IN_12_SECONDS = 3

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


async def test_frozen_valkey_delays_runs_and_loses_none(
    site: Site, servers: OwnServers, store: ObjectStore, push_service: PushService
) -> None:
    accepted = [run.id for run in await site.queue_runs(RUNS, work())]
    async with site.api() as api:
        worker = site.start_worker()
        await site.wait_until_over(4)
        servers.valkey.freeze()
        try:
            for number in range(ASKED_MEANWHILE):
                task = await api.post("/", json={"title": f"Task {number}", "description": work()})
                assert task.status_code == 201, task.text
                run = await api.post(f"/{task.json()['id']}/run/")
                assert run.status_code == 200, run.text
                accepted.append(UUID(run.json()["latest_run"]["id"]))
            seen = worker.log.read_text().count("worker.redis_unavailable")
            # Two lists of jobs are looked at.
            looks = seen + 2 * LOOKS_IN_12_SECONDS
            await site.wait_until_logged(worker, "worker.redis_unavailable", times=looks)
        finally:
            servers.valkey.thaw()
        count = RUNS + ASKED_MEANWHILE
        await site.let_the_grace_pass()
        await site.wait_until_over(count)
        await wait_for_pushes(push_service, count)
    assert await worker.stop() == 0

    ledger = await take_stock(site, store, accepted=accepted, pushes=push_service)
    ledger.require_balance()
    assert ledger.statuses == {"completed": count}
