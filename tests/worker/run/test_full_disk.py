"""A worker without room for what a run has to keep: the run says so, and nothing of it is half there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.agents.files.attachments import take_artifacts
from app.enums import RunStatus
from app.worker.jobs.execute_run import execute_run
from tests.fixtures.worker import Workshop
from tests.support.deployment.small_disk import fill, small_disk

FULL = "The disk of the worker is full. Start the run again when there is room."


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        yield disk


def test_artifact_that_does_not_fit_is_an_error_and_no_part_of_it_stays(tmp_path: Path, disk: Path) -> None:
    artifacts = tmp_path / "work" / ".taskbeacon" / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "large.bin").write_bytes(bytes(5 * 2**20))
    with pytest.raises(OSError, match="No space left"):
        take_artifacts(tmp_path / "work", disk, str)
    assert list(disk.iterdir()) == []


async def test_run_fails_in_words_where_there_is_no_room_to_begin(workshop: Workshop, disk: Path) -> None:
    fill(disk / "ballast")
    run = await perform(workshop, disk, "```say\nhi\n```")
    assert run == (RunStatus.FAILED, f"{FULL} The end of the run's log could not be stored.")


async def test_failure_of_the_agent_is_reported_though_the_disk_has_no_room_for_its_work(
    workshop: Workshop, disk: Path
) -> None:
    ballast = "head -c 9000000 /dev/zero > ballast"
    status, message = await perform(
        workshop, disk, f"```sh\n{ballast} 2>/dev/null || :\necho enough\nexit 3\n```"
    )
    assert status == RunStatus.FAILED
    assert "status 3" in message, message


async def perform(workshop: Workshop, disk: Path, description: str) -> tuple[str, str]:
    """Perform a run with its workspace on this disk; return how it ended."""
    run = await workshop.queued_run(description)
    settings = workshop.context.process.settings.model_copy(update={"workspaces": disk / "workspaces"})
    (disk / "workspaces").mkdir()
    await execute_run(workshop.with_process(settings=settings).arq_context, run_id=str(run.id))
    ended = await workshop.read(run)
    return ended.status, ended.error_message or ""
