"""An upgrade under load from the release before, and back: old and new processes side by side, in both orders.

Clients may have to repeat requests, as they do anyway. Nothing accepted is lost or doubled, and no follower misses an
event without being told.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from app.clients.storage.object_store import ObjectStore
from app.db import unit_of_work
from app.db.schema_revision import migration_config
from app.schemas.checks.check_sets import DefinitionsIn, acceptance_of
from tests.fixtures.worker import Repositories
from tests.support.deployment.failing_over import proxy_of
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.load import Load
from tests.support.deployment.own_servers import OwnServers, own_servers
from tests.support.deployment.processes import ServiceProcess, free_port, service_process, wait_until_ready
from tests.support.deployment.release_before import release_before
from tests.support.deployment.site import Site, let_go_on, work
from tests.support.deployment.visitors import Visitors
from tests.support.stand_ins.push import PushService
from tests.support.stand_ins.receiver import receiving, refuse_unsigned
from tests.support.waiting import eventually
from tests.support.web.clients import socket_client
from tests.support.webhooks import LOOPBACK
from tests.test_migrations import FIRST_RELEASE

PEOPLE = 3
# Between two steps, so that old and new processes work together.
RUNS_BETWEEN = 6
_GUIDE = Path(__file__).parents[2] / "docs/operating/upgrade.md"
NETWORKS = {"TASKBEACON_WEBHOOK_ALLOW_PRIVATE_NETWORKS": ",".join(LOOPBACK)}

pytestmark = [pytest.mark.upgrade, pytest.mark.timeout(1800)]


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServers]:
    """Servers of each test's own, since each begins at the schema of the release before."""
    with own_servers(tmp_path_factory.mktemp("own")) as servers:
        yield servers


@pytest.fixture(scope="session")
def before() -> Path:
    return release_before()


class Upgrade:
    """An API and a worker of the release before (`old`) and of this one (`new`), of which each runs or does not."""

    def __init__(self, site: Site, before: Path, **environment: str) -> None:
        self._site = site
        self._environment = NETWORKS | environment
        self._programs: dict[str, str | Path] = {"old": before, "new": "app.cli"}
        self.ports = {"old": free_port(), "new": free_port()}
        self._running: dict[str, ServiceProcess] = {}

    async def perform(self, step: str) -> None:
        """Perform a step as an operator does, such as `start new api`."""
        match step.split():
            case ["migrate"]:
                with service_process(
                    "migrate", settings=self._site.settings, log=self._site.folder / "migrate.log"
                ) as it:
                    await self._site.wait_until_gone(it)
                assert await it.stop() == 0, it.log.read_text()[-2000:]
            case ["start", release, "worker"]:
                worker = self._site.start_worker(
                    self._programs[release], **self._environment, TASKBEACON_WORKER_CONCURRENCY="4"
                )
                self._running[f"{release} worker"] = worker
                await self._site.wait_until_logged(worker, "worker.started")
            case ["start", release, "api"]:
                port = self.ports[release]
                self._running[f"{release} api"] = api = self._site.start_api(
                    port, self._programs[release], **self._environment
                )
                async with socket_client(base_url=f"http://127.0.0.1:{port}") as probe:
                    await wait_until_ready(probe, api)
            case [_, *what]:
                process = self._running.pop(" ".join(what))
                assert await process.stop() == 0, process.log.read_text()[-2000:]
            case _:
                pass

    async def stop_all(self) -> None:
        """Stop what runs."""
        for name in list(self._running):
            await self.perform(f"stop {name}")


async def serve(load: Load, visitors: Visitors, upgrade: Upgrade, *steps: str) -> None:
    """Have the steps occur one after the other while people work."""
    async with asyncio.TaskGroup() as group:
        beside = [group.create_task(visitors.answer()), group.create_task(visitors.look())]
        working = group.create_task(load.people(PEOPLE))
        for step in steps:
            await load.wait_until_over(load.over + RUNS_BETWEEN)
            await upgrade.perform(step)
        await load.wait_until_over(load.over + RUNS_BETWEEN)
        load.is_enough.set()
        await working
        for task in beside:
            task.cancel()


@pytest.mark.parametrize(
    "steps",
    [
        ["migrate", "start new api", "stop old api", "start new worker", "stop old worker"],
        ["migrate", "start new worker", "stop old worker", "start new api", "stop old api"],
    ],
    ids=["API first", "worker first"],
)
async def test_upgrade(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path, before: Path, steps: list[str]
) -> None:
    config = migration_config(site.settings.database_url)
    await asyncio.to_thread(command.downgrade, config, FIRST_RELEASE)
    await go_through(site, store, push_service, tmp_path, before, begin="old", steps=steps)


async def test_way_back(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path, before: Path
) -> None:
    """The schema of this release stays."""
    steps = ["start old worker", "stop new worker", "start old api", "stop new api"]
    await go_through(site, store, push_service, tmp_path, before, begin="new", steps=steps)


@pytest.mark.parametrize("order", [["old", "new"], ["new", "old"]], ids=["upgrade", "way back"])
async def test_worker_goes_on_with_the_run_that_one_of_the_other_release_gave_back(
    site: Site, store: ObjectStore, push_service: PushService, tmp_path: Path, before: Path, order: list[str]
) -> None:
    upgrade = Upgrade(site, before, TASKBEACON_WORKER_DRAIN_SECONDS="3")
    go_on = tmp_path / "go-on"
    [run] = await site.queue_runs(1, work(until=go_on))
    for release in order:
        await upgrade.perform(f"start {release} worker")
        await site.wait_until_agents_work(1)
        if release == order[1]:
            let_go_on(go_on)
            await site.wait_until_over(1)
            await wait_for_pushes(push_service, 1)
        await upgrade.perform(f"stop {release} worker")
    ledger = await take_stock(site, store, accepted=[run.id], pushes=push_service, again=[run.id])
    ledger.require_balance()
    assert ledger.statuses == {"completed": 1}


async def test_release_before_takes_over_work_that_was_not_verified(
    site: Site, before: Path, tmp_path: Path
) -> None:
    """As the guide says: it answers 500 to who deletes the task otherwise."""
    repositories = Repositories(tmp_path / "repositories")
    repositories.create("acme/site", {"a": "old\n"})
    fails = {"id": "fails", "run": ["false"], "gate": "strict", "retries": 0}
    acceptance = acceptance_of(DefinitionsIn.model_validate({"checks": [fails]}))
    await site.queue_runs(1, "```sh\necho new >a\n```", repository="acme/site", acceptance=acceptance)
    worker = site.start_worker(TASKBEACON_GIT_BASE_URL=repositories.base_url, TASKBEACON_MAX_REPAIRS="0")
    await site.wait_until_over(1)
    assert await worker.stop() == 0

    async with site.api(before) as api:
        inbox = api.base_url.copy_with(path="/api/users/@me/inbox")
        [shown] = (await api.get(inbox)).json()["results"]
        assert shown["kind"] == "verdict"
        [withdraw] = re.findall(r"```sql\s+(.*?)\s+```", _GUIDE.read_text(encoding="utf-8"), re.DOTALL)
        async with unit_of_work(site.sessions) as session:
            await session.execute(text(withdraw))

        assert (await api.get(inbox)).json()["results"] == []
        answer = await api.delete(f"/{shown['task']['id']}")
    assert answer.status_code in {200, 204}, answer.text


async def go_through(
    site: Site,
    store: ObjectStore,
    push_service: PushService,
    folder: Path,
    before: Path,
    *,
    begin: str,
    steps: list[str],
) -> None:
    """Let people work while the steps occur, and fail if anything was lost or doubled."""
    upgrade = Upgrade(site, before)
    for kind in ("api", "worker"):
        await upgrade.perform(f"start {begin} {kind}")
    async with receiving() as receiver:
        with proxy_of(list(upgrade.ports.values()), folder) as url:
            load = Load(site, url, await site.key(), asks_every=3)
            async with load.client() as client:
                # First what a client repeats until the proxy listens.
                device = (await client.request("GET", "/api/users/@me/push_tokens"))["results"][0]["id"]
                endpoint = await client.webhooks.create(url=receiver.url(), event_types=["run.completed"])
            wrong = refuse_unsigned(receiver, {"/hook": endpoint["secret"]})
            visitors = Visitors(load, device)
            await serve(load, visitors, upgrade, *steps)
            runs = len(load.seen)
            await eventually(lambda: len(pushes_of_ends(push_service).received) >= runs)
            await eventually(lambda: len(receiver.messages) >= runs)
    await upgrade.stop_all()
    ledger = await take_stock(site, store, accepted=list(load.seen), pushes=pushes_of_ends(push_service))
    ledger.require_balance()
    told = await load.require_whole(store)
    assert ledger.statuses == {"completed": runs}
    assert wrong == []
    assert Counter(message.data["run_id"] for message in receiver.messages) == Counter(map(str, load.seen))
    # A conversation may be asked to end until it does.
    assert visitors.closed >= visitors.answered > 0 < visitors.looks
    print(  # noqa: T201 - what this test reports
        f"{runs} runs, {told} followers were told of a gap, {visitors.answered} questions, {visitors.looks} looks"
    )


def pushes_of_ends(service: PushService) -> PushService:
    """Return the pushes that report the end of a run, not its questions."""
    return PushService([message for message in service.received if "questionId" not in message["data"]])
