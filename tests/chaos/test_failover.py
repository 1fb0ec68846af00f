"""Servers that fail over under load: nothing accepted is lost or doubled, nobody misses anything, nothing is restarted.

One short test for every run of the suite; `make test-failover` performs all, on servers of their own each.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from app.clients.redis import create_redis
from app.clients.storage.object_store import ObjectStore
from app.config import Settings
from app.coroutines.periodic import wait
from app.outages import DatabaseUnavailable
from tests.support.deployment.failing_over import FailingOver, failing_over, proxy_of
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.load import Load
from tests.support.deployment.processes import ServiceProcess, free_port, wait_until_ready
from tests.support.deployment.site import Site
from tests.support.stand_ins.outage import interruptible
from tests.support.stand_ins.push import PushService
from tests.support.web.clients import socket_client

PEOPLE = 6
RUNS_EACH = 10
ACCEPTED = 200
AWAY_SECONDS = 60.0

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingOver]:
    with failing_over(tmp_path_factory.mktemp("failing")) as servers:
        yield servers


@pytest.fixture
def own(settings: Settings, failing: FailingOver) -> Settings:
    return failing.lead(settings)


class Fleet:
    """Two APIs behind a proxy, workers, and people who use them."""

    def __init__(
        self, site: Site, load: Load, apis: list[ServiceProcess], workers: list[ServiceProcess]
    ) -> None:
        self.site = site
        self.load = load
        self.apis = apis
        self.workers = workers

    async def serve(self, *faults: Callable[[], object], people: int, runs: int) -> None:
        """Let people work, and have the faults occur one after the other between their runs."""
        count = people * runs
        async with asyncio.TaskGroup() as group:
            working = group.create_task(self.load.people(people, runs=runs))
            repairing = group.create_task(self._let_the_grace_pass())
            for number, fault in enumerate(faults, 1):
                await self.load.wait_until_over(number * count // (len(faults) + 2))
                if asyncio.iscoroutine(step := fault()):
                    await step
            await working
            repairing.cancel()

    async def _let_the_grace_pass(self) -> None:
        """Have the sweep find what Redis has lost at once, and not only after its time of grace."""
        nothing = asyncio.Event()
        while True:
            with suppress(DatabaseUnavailable):
                await self.site.let_the_grace_pass()
            await wait(nothing, 1)

    async def require_order(
        self, store: ObjectStore, pushes: PushService, *, count: int, failed: int = 0
    ) -> None:
        """Stop all processes, and fail if a run, an event or a push was lost or doubled, or a process has ended."""
        await wait_for_pushes(pushes, count)
        for process in (*self.workers, *self.apis):
            assert await process.stop() == 0, process.log.read_text()[-2000:]
        stock = await take_stock(self.site, store, accepted=list(self.load.seen), pushes=pushes)
        held = [line for line in stock.lost if "worker" in line]
        stock.lost = [line for line in stock.lost if line not in held]
        if failed:
            # A killed worker leaves its files to the next one in its folder.
            stock.left_behind.clear()
        stock.require_balance()
        assert stock.statuses.total() == count == len(self.load.seen)
        assert len(held) == stock.statuses.get("failed", 0) <= failed
        told = await self.load.require_whole(store)
        print(f"{told} of {count} followers were told of a gap")  # noqa: T201 - what this test reports


@asynccontextmanager
async def fleet(
    site: Site, folder: Path, *, workers: int = 1, **environment: str
) -> AsyncGenerator[Fleet, None]:
    ports = [free_port(), free_port()]
    apis = [site.start_api(port, **environment) for port in ports]
    started = [
        site.start_worker(**environment | {"TASKBEACON_WORKER_CONCURRENCY": "4"}) for _ in range(workers)
    ]
    for port, api in zip(ports, apis, strict=True):
        async with socket_client(base_url=f"http://127.0.0.1:{port}") as probe:
            await wait_until_ready(probe, api)
    with proxy_of(ports, folder) as url:
        yield Fleet(site, Load(site, url, await site.key()), apis, started)


async def fail_over_database(failing: FailingOver) -> None:
    failing.postgres.primary.kill()
    await failing.postgres.promote()


async def test_nothing_is_lost_when_database_redis_and_an_api_die_under_load(
    site: Site, failing: FailingOver, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    async with fleet(site, tmp_path) as all_:
        await all_.serve(
            failing.valkey.primary.kill,
            lambda: fail_over_database(failing),
            lambda: all_.apis.pop().kill(),
            people=3,
            runs=3,
        )
        await all_.require_order(store, push_service, count=9)


@pytest.mark.failover
async def test_database_whose_primary_is_killed(
    site: Site, failing: FailingOver, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    async with fleet(site, tmp_path) as all_:
        await all_.serve(lambda: fail_over_database(failing), people=PEOPLE, runs=RUNS_EACH)
        await all_.require_order(store, push_service, count=PEOPLE * RUNS_EACH)


@pytest.mark.failover
async def test_database_whose_primary_falls_silent(
    site: Site, failing: FailingOver, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    """Connections stay open and nothing comes, as from a machine that has lost its network."""

    async def silence() -> None:
        failing.postgres.primary.freeze()
        await failing.postgres.promote()

    async with fleet(site, tmp_path) as all_:
        await all_.serve(silence, people=PEOPLE, runs=RUNS_EACH)
        await all_.require_order(store, push_service, count=PEOPLE * RUNS_EACH)


@pytest.mark.failover
@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_redis_whose_primary_is_gone(
    site: Site,
    failing: FailingOver,
    store: ObjectStore,
    push_service: PushService,
    tmp_path: Path,
    fault: str,
) -> None:
    async with fleet(site, tmp_path) as all_:
        await all_.serve(getattr(failing.valkey.primary, fault), people=PEOPLE, runs=RUNS_EACH)
        await all_.require_order(store, push_service, count=PEOPLE * RUNS_EACH)


@pytest.mark.failover
async def test_connection_to_a_redis_that_takes_no_writes_any_more_is_dropped(failing: FailingOver) -> None:
    redis = create_redis(failing.valkey.url)
    before = await redis.client_id()

    async with failing.valkey.demoted():
        with pytest.raises(RedisConnectionError, match="no primary"):
            await redis.set("key", "value")

    assert await redis.set("key", "value")
    assert await redis.client_id() != before
    await redis.aclose()


@pytest.mark.failover
async def test_object_store_that_is_away_for_a_minute(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    async with interruptible(site.settings.s3_endpoint_url or "") as between:

        async def go_away() -> None:
            await between.refuse()
            await wait(asyncio.Event(), AWAY_SECONDS)
            await between.resume()

        async with fleet(site, tmp_path, TASKBEACON_S3_ENDPOINT_URL=between.url) as all_:
            await all_.serve(go_away, people=PEOPLE, runs=RUNS_EACH)
            await all_.require_order(store, push_service, count=PEOPLE * RUNS_EACH)


@pytest.mark.failover
async def test_api_that_is_killed_behind_a_proxy(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    async with fleet(site, tmp_path) as all_:
        await all_.serve(lambda: all_.apis.pop().kill(), people=PEOPLE, runs=RUNS_EACH)
        await all_.require_order(store, push_service, count=PEOPLE * RUNS_EACH)


@pytest.mark.failover
async def test_any_of_two_apis_three_workers_and_their_servers_may_be_killed(
    site: Site, failing: FailingOver, store: ObjectStore, push_service: PushService, tmp_path: Path
) -> None:
    held = 0

    async def kill_worker() -> None:
        nonlocal held
        victim = all_.workers.pop()
        victim.kill()
        held = await site.let_leases_lapse(victim)

    people = 10
    async with fleet(site, tmp_path, workers=3) as all_:
        await all_.serve(
            kill_worker,
            failing.valkey.primary.kill,
            lambda: all_.apis.pop().kill(),
            lambda: fail_over_database(failing),
            people=people,
            runs=ACCEPTED // people,
        )
        # The agents of these had been started, and may have acted: such a run is not begun again.
        await all_.require_order(store, push_service, count=ACCEPTED, failed=held)
