"""A disk without room for workspaces: runs end with words, and the worker works again when there is room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.clients.storage.object_store import ObjectStore
from app.enums import RunStatus
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.site import Site, work
from tests.support.deployment.small_disk import fill, small_disk
from tests.support.stand_ins.push import PushService

FILL = "head -c 20000000 /dev/zero > {ballast}"
FULL = "The disk of the worker is full."
# What agents do to the disk before and after their work, and what their runs say of it.
BY_AGENTS = {
    work(script=FILL.format(ballast="ballast")): "No space left on device",
    "\n".join(
        [
            work(),
            "```sh",
            "head -c 3000000 /dev/zero > .taskbeacon/artifacts/large",
            f"{FILL.format(ballast='ballast')} || :",
            "```",
        ]
    ): FULL,
}

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        yield disk


async def test_runs_on_a_full_disk_end_with_words_and_later_ones_complete(
    site: Site, store: ObjectStore, push_service: PushService, disk: Path
) -> None:
    worker = site.start_worker(
        TASKBEACON_WORKSPACES=str(disk / "workspaces"), TASKBEACON_WORKER_CONCURRENCY="1"
    )
    await site.wait_until_logged(worker, "worker.started")
    ballast = disk / "ballast"
    fill(ballast)
    words = dict.fromkeys(
        [run.id for run in await site.queue_runs(2, work())], "The disk of the worker is full."
    )
    await site.wait_until_over(len(words))
    ballast.unlink()
    for description, said in BY_AGENTS.items():
        words |= {run.id: said for run in await site.queue_runs(1, description)}
    await site.wait_until_over(len(words))
    lucky = await site.queue_runs(2, work())
    await site.wait_until_over(len(words) + 2)
    await wait_for_pushes(push_service, len(words) + 2)
    assert await worker.stop() == 0
    assert list((disk / "workspaces").iterdir()) == []

    for run in await site.rows():
        if run.id in words:
            assert run.status == RunStatus.FAILED
            assert words[run.id] in (run.error_message or "")
            assert "large" not in {artifact["name"] for artifact in run.artifacts}
    ledger = await take_stock(site, store, accepted=[*words, *(run.id for run in lucky)], pushes=push_service)
    ledger.require_balance()
    assert ledger.statuses == {"failed": len(words), "completed": 2}
