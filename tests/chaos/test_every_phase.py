"""A worker that is stopped, and a run that is cancelled, in each phase of a run: clone, agent, gathering, storing."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from app.clients.storage.object_store import ObjectStore
from app.enums import RunStatus
from app.models import Run
from tests.fixtures.worker import Repositories
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.processes import ServiceProcess
from tests.support.deployment.site import Site, let_go_on, work
from tests.support.stand_ins.outage import Interruptible, interruptible
from tests.support.stand_ins.push import PushService
from tests.support.waiting import eventually

PHASES = ("clone", "agent", "gathering", "storing")
# So many that git needs a while to add them.
MANY_FILES = "for i in $(seq 2000); do echo $i > file$i; done"
REPOSITORY = "acme/site"

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    repositories = Repositories(tmp_path / "repositories")
    repositories.create(REPOSITORY, {"README.md": "# Site\n"})
    return repositories


@asynccontextmanager
async def in_phase(site: Site, phase: str, go_on: Path) -> AsyncGenerator[tuple[Run, ServiceProcess], None]:
    """Yield a run that is in this phase, and its worker; what held it there is gone when the block ends."""
    async with AsyncExitStack() as stack:
        variables = {"TASKBEACON_WORKER_DRAIN_SECONDS": "0"}
        between: Interruptible | None = None
        match phase:
            case "clone":
                host = await stack.enter_async_context(interruptible("http://127.0.0.1:1"))
                await host.hang()
                variables["TASKBEACON_GIT_BASE_URL"] = host.url
                [run] = await site.queue_runs(1, work(), repository=REPOSITORY)
                seen = '"Cloning '
            case "agent":
                [run] = await site.queue_runs(1, work(until=go_on))
                seen = "run.agent_spawned"
            case "gathering":
                [run] = await site.queue_runs(1, work(script=MANY_FILES))
                seen = "Collecting what the agent changed"
            case _:
                [run] = await site.queue_runs(1, work(until=go_on))
                between = await stack.enter_async_context(interruptible(site.settings.s3_endpoint_url or ""))
                variables["TASKBEACON_S3_ENDPOINT_URL"] = between.url
                seen = "store.waited_for"
        worker = site.start_worker(**variables)
        if between is not None:
            await site.wait_until_agents_work(1)
            await between.refuse()
            let_go_on(go_on)
        await site.wait_until_logged(worker, seen)
        yield run, worker
        let_go_on(go_on)


@pytest.mark.parametrize("phase", PHASES)
async def test_run_of_a_worker_that_is_stopped_is_given_back_and_completed_by_the_next(
    site: Site,
    store: ObjectStore,
    push_service: PushService,
    repositories: Repositories,
    phase: str,
    tmp_path: Path,
) -> None:
    async with in_phase(site, phase, tmp_path / "go-on") as (run, worker):
        worker.ask_to_stop()
        await site.wait_until_gone(worker)
        assert await worker.stop() == 0
        assert site.files_left() == []
        [left] = await site.rows()
        assert (left.status, left.lease_owner) == (RunStatus.QUEUED, None), worker.log.read_text()[-3000:]

    following = site.start_worker(TASKBEACON_GIT_BASE_URL=repositories.base_url)
    await site.wait_until_over(1)
    await wait_for_pushes(push_service, 1)
    assert await following.stop() == 0
    ledger = await take_stock(site, store, accepted=[run.id], pushes=push_service, again=[run.id])
    ledger.require_balance()
    assert ledger.statuses == {"completed": 1}


@pytest.mark.parametrize("phase", PHASES)
async def test_run_that_is_cancelled_leaves_nothing_and_its_worker_goes_on(
    site: Site, store: ObjectStore, push_service: PushService, phase: str, tmp_path: Path
) -> None:
    async with in_phase(site, phase, tmp_path / "go-on") as (run, worker):
        await site.cancel(run)
        await site.wait_until_empty()
        [ended] = await site.rows()
        assert ended.status == RunStatus.CANCELLED
        if phase == "storing":

            async def is_reported() -> bool:
                # The row hears of it once the folder is gone.
                [row] = await site.rows()
                return bool(row.facts.get("not_stored", {}).get("files"))

            await eventually(is_reported)
    if phase == "storing":
        assert await worker.stop() == 0
        worker = site.start_worker()
    [following] = await site.queue_runs(1, work())
    await site.wait_until_over(2)
    await wait_for_pushes(push_service, 2)
    assert await worker.stop() == 0
    ledger = await take_stock(site, store, accepted=[run.id, following.id], pushes=push_service)
    ledger.require_balance()
    assert ledger.statuses == {"cancelled": 1, "completed": 1}


async def test_worker_that_starts_beside_another_takes_nothing_from_it(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    """Two on one machine, with one home: what is live there is not cleared away."""
    go_on = tmp_path / "go-on"
    shared = {"TASKBEACON_HOME": str(tmp_path / "home")}
    runs = await site.queue_runs(2, work(until=go_on))
    one = site.start_worker(**shared)
    await site.wait_until_agents_work(2)
    runs += await site.queue_runs(2, work(until=go_on))
    other = site.start_worker(**shared)
    await site.wait_until_agents_work(4)
    let_go_on(go_on)
    runs += await site.queue_runs(10, work())
    await site.wait_until_over(14)
    await wait_for_pushes(push_service, 14)
    assert [await worker.stop() for worker in (one, other)] == [0, 0]

    ledger = await take_stock(site, store, accepted=[run.id for run in runs], pushes=push_service)
    ledger.require_balance()
    assert ledger.statuses == {"completed": 14}
