"""Workers that are killed while they check what runs delivered: the same verdict, one end, one push."""

import os
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.clients.redis import create_redis
from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Event, Notification, Run
from app.schemas.checks.check_sets import DefinitionsIn, acceptance_of
from tests.concurrency.races import is_waiting
from tests.fixtures.worker import Repositories
from tests.support.deployment.processes import ServiceProcess
from tests.support.deployment.site import Site
from tests.support.stand_ins.outage import Interruptible, interruptible
from tests.support.stand_ins.push import PushService
from tests.support.waiting import eventually

# Among so many runs a worker is killed each time that a few more are over, which is every few seconds.
CHECKED = int(os.environ.get("TASKBEACON_TEST_CHAOS_RUNS", "200"))
KILL_EVERY = 10
# Where each holds the worker: on which side of the comparison, and in which command.
STEPS = {
    "set-up": "result-set-up",
    "first check": "result-first",
    "second check": "result-second",
    "base": "base-first",
    "set-up of old tests": "old-set-up",
    "old tests": "old-second",
    "storing": "result-second",
    "concluding": "old-second",
}
REPOSITORY = "acme/site"
BASE = {"tests/test_a.sh": "grep -q old a\n", "a": "old\n"}
WORK = "```sh\necho new >a; echo 'grep -q new a' >tests/test_a.sh\n```"
# Of a command: where it is to hold the worker, it says so by a file, and waits for another.
HOLD = """\
side=base
if grep -q new a; then grep -q new tests/test_a.sh && side=result || side=old; fi
if [ $side-{command} = {held} ]; then
    touch {place}/is-held
    while [ ! -e {place}/go-on ]; do sleep 0.05; done
fi
"""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    repositories = Repositories(tmp_path / "repositories")
    repositories.create(REPOSITORY, BASE)
    return repositories


def checked_by(*checks: dict[str, Any], **more: Any) -> Any:
    return acceptance_of(DefinitionsIn.model_validate({"checks": list(checks), **more}))


async def ends(site: Site) -> dict[Any, Counter[str]]:
    """Return how often each event about checks and the end of a run is in the ledger, for each run."""
    async with unit_of_work(site.sessions) as session:
        rows = await session.execute(
            select(Event.run_id, Event.type).where(Event.project_id == site.project.id)
        )
        counts: dict[Any, Counter[str]] = {}
        for run_id, type_ in rows:
            if type_.startswith("verification.") or type_ in {"run.completed", "run.failed"}:
                counts.setdefault(run_id, Counter())[type_] += 1
    return counts


VERDICTS = {"passed": "verified", "failed": "refuted"}
ONCE = Counter({"verification.started": 1, "verification.finished": 1, "run.completed": 1})


@asynccontextmanager
async def held_at(
    site: Site, repositories: Repositories, step: str, place: Path
) -> AsyncGenerator[ServiceProcess, None]:
    """Yield a worker that is at this step of checking a run; what held it there is gone when the block ends."""

    def hold(command: str) -> str:
        return HOLD.format(command=command, held=STEPS[step], place=place)

    checks = [{"id": id_, "shell": f"{hold(id_)}sh tests/test_a.sh"} for id_ in ("first", "second")]
    acceptance = checked_by(*checks, setup=[{"shell": hold("set-up")}], base="always")
    await site.queue_runs(1, WORK, repository=REPOSITORY, acceptance=acceptance)
    async with AsyncExitStack() as stack:
        between: Interruptible = await stack.enter_async_context(
            interruptible(site.settings.s3_endpoint_url or "")
        )
        worker = site.start_worker(
            TASKBEACON_GIT_BASE_URL=repositories.base_url, TASKBEACON_S3_ENDPOINT_URL=between.url
        )
        await eventually((place / "is-held").exists, within_seconds=120)
        if step == "storing":
            await between.refuse()
            (place / "go-on").touch()
            await site.wait_until_logged(worker, "verification.log_not_stored")
        elif step == "concluding":
            session = await stack.enter_async_context(unit_of_work(site.sessions))
            await session.execute(select(Run.id).with_for_update())
            (place / "go-on").touch()
            await eventually(lambda: is_waiting(site.sessions), within_seconds=120)
        yield worker
    (place / "go-on").touch()


@pytest.mark.parametrize("step", STEPS)
async def test_worker_that_is_killed_while_it_checks_changes_nothing(
    site: Site, push_service: PushService, repositories: Repositories, step: str, tmp_path: Path
) -> None:
    async with held_at(site, repositories, step, tmp_path) as worker:
        worker.kill()
    assert await site.let_checks_lapse(worker) == 1
    # Held by the dead worker for a minute, as its lease was.
    redis = create_redis(site.settings.redis_url)
    await redis.delete(*await redis.keys("arq:in-progress:*"))
    await redis.aclose()

    site.start_worker(TASKBEACON_GIT_BASE_URL=repositories.base_url)
    await site.wait_until_over(1)

    [run] = await site.rows()
    assert (run.status, run.error_message) == (RunStatus.COMPLETED, None)
    assert run.verification is not None
    assert (run.verification["verdict"], run.verification["attempts"]) == ("verified", 1)
    seen = [(check["status"], check["base"], check["old_tests"]) for check in run.verification["checks"]]
    assert seen == [("passed", "passed", "failed")] * 2
    assert await ends(site) == {run.id: ONCE}

    def pushes() -> int:
        return [message["data"]["taskRunId"] for message in push_service.received].count(str(run.id))

    await eventually(pushes)
    assert pushes() == 1


async def test_killed_workers_leave_no_run_without_its_verdict(
    site: Site, repositories: Repositories
) -> None:
    """A run is lost only with its agent, which is never started twice."""
    is_new = {"id": "new", "run": ["grep", "new", "a"], "gate": "strict", "retries": 0}
    refuted = CHECKED // 4
    for count, work in ((CHECKED - refuted, WORK), (refuted, "```sh\necho other >a\n```")):
        await site.queue_runs(count, work, repository=REPOSITORY, acceptance=checked_by(is_new))
    variables = {
        "TASKBEACON_GIT_BASE_URL": repositories.base_url,
        "TASKBEACON_WORKER_CONCURRENCY": "5",
        "TASKBEACON_CHECK_SLOTS": "5",
    }
    workers = [site.start_worker(**variables), site.start_worker(**variables)]

    held = interrupted = 0
    for over in range(KILL_EVERY // 2, CHECKED - KILL_EVERY, KILL_EVERY):
        await site.wait_until_over(over)
        victim = workers.pop(0)
        victim.kill()
        held += await site.let_leases_lapse(victim)
        interrupted += await site.let_checks_lapse(victim)
        await site.let_the_grace_pass()
        workers.append(site.start_worker(**variables))
    await site.wait_until_over(CHECKED)

    runs = await site.rows()
    lost = {run.id for run in runs if run.status == RunStatus.FAILED}
    verdicts: Counter[str] = Counter()
    for run in runs:
        if run.id in lost:
            assert run.facts["recovery"]["decision"] == "failed", run.error_message
            continue
        assert (run.status, run.lease_owner, run.error_message) == (RunStatus.COMPLETED, None, None)
        assert run.verification is not None
        [check] = run.verification["checks"]
        # An attempt that has lost three workers verifies nothing, also where its check has passed.
        is_lost = "worker" in [reason["detail"] for reason in run.verification["reasons"]]
        expected = "inconclusive" if is_lost else VERDICTS[check["status"]]
        assert run.verification["verdict"] == expected
        verdicts[expected] += 1
    counts = await ends(site)
    assert {run_id for run_id, count in counts.items() if count != ONCE} == lost
    assert {counts[run_id]["run.failed"] for run_id in lost} <= {1}
    async with unit_of_work(site.sessions) as session:
        notices = await session.scalars(
            select(Notification.task_id).where(Notification.task_id.in_([run.task_id for run in runs]))
        )
        assert set(Counter(notices).values()) == {1}
    print(  # noqa: T201 - what this test reports
        f"{dict(verdicts)}, {len(lost)} lost with their agents of {held} held; {interrupted} interrupted checks"
    )
    assert interrupted > 0
    assert verdicts["verified"] + verdicts["refuted"] > CHECKED / 2
