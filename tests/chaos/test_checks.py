"""Workers that are killed again and again while they check what runs delivered: the same verdict, one end, one push.

At each step: number 17 of tests/e2e/test_acceptance_list.py.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Event, Notification
from app.schemas.checks.check_sets import DefinitionsIn, acceptance_of
from tests.fixtures.worker import Repositories
from tests.support.deployment.site import Site

# Among so many runs a worker is killed each time that a few more are over, which is every few seconds.
CHECKED = int(os.environ.get("TASKBEACON_TEST_CHAOS_RUNS", "200"))
KILL_EVERY = 10
REPOSITORY = "acme/site"
BASE = {"tests/test_a.sh": "grep -q old a\n", "a": "old\n"}
WORK = "```sh\necho new >a; echo 'grep -q new a' >tests/test_a.sh\n```"

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    repositories = Repositories(tmp_path / "repositories")
    repositories.create(REPOSITORY, BASE)
    return repositories


def checked_by(*checks: dict[str, Any]) -> Any:
    return acceptance_of(DefinitionsIn.model_validate({"checks": list(checks)}))


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
