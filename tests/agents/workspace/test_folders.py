import asyncio
import fcntl
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from app.agents.workspace.folders import FolderRemover, reclaim, remove
from app.agents.workspace.run_workspace import Workspaces
from app.processes.spawning import PLAIN_ENVIRONMENT
from tests.agents.conftest import eventually
from tests.support.marked import processes_with
from tests.support.waiting import next_round


async def test_workspaces_are_private_and_removed(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "root"

    async with Workspaces(root, os.environ).open(uuid.uuid4()) as workspace:
        assert workspace.folder.stat().st_mode & 0o777 == 0o700
        assert root.stat().st_mode & 0o777 == 0o700
        (workspace.home / "file").write_text("x")

    assert left_in(root) == []


async def test_attempts_at_the_same_run_do_not_meet(tmp_path: Path) -> None:
    run_id = uuid.uuid4()

    async with Workspaces(tmp_path, {}).open(run_id) as one, Workspaces(tmp_path, {}).open(run_id) as other:
        assert one.folder != other.folder


async def test_workspace_is_removed_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        async with Workspaces(tmp_path, {}).open(uuid.uuid4()):
            raise RuntimeError("in the middle")

    assert left_in(tmp_path) == []


async def test_removal_survives_being_cancelled_again(tmp_path: Path) -> None:
    opened = asyncio.Event()

    async def work() -> None:
        async with Workspaces(tmp_path, os.environ).open(uuid.uuid4()) as workspace:
            for number in range(200):
                (workspace.home / str(number)).touch()
            opened.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await opened.wait()
    task.cancel()
    await next_round()
    await next_round()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert left_in(tmp_path) == []


async def test_reclaiming_leaves_live_workspaces_alone(tmp_path: Path) -> None:
    async with Workspaces(tmp_path, os.environ).open(uuid.uuid4()) as workspace:
        assert await reclaim(tmp_path) == 0
        assert workspace.home.is_dir()


async def hand_over(root: Path, remover: FolderRemover) -> Path:
    """Open and leave a workspace with a file; return its folder."""
    async with Workspaces(root, os.environ, remover=remover).open(uuid.uuid4()) as workspace:
        (workspace.home / "file").touch()
    return workspace.folder


async def test_workspace_is_removed_in_the_background(tmp_path: Path) -> None:
    remover = FolderRemover()

    folder = await hand_over(tmp_path, remover)
    assert (folder / "home/file").exists()
    assert folder.with_suffix(".lock").exists()
    await remover.wait()

    assert left_in(tmp_path) == []


@contextmanager
def hanging_disk(folder: Path) -> Iterator[None]:
    """Let each `rm` that starts in the block wait for the end of the block."""
    program = folder / "rm"
    program.write_text('#!/bin/sh\nexec flock --shared "$0" /bin/rm "$@"\n')
    program.chmod(0o755)
    path = f"{folder}:{PLAIN_ENVIRONMENT['PATH']}"
    with program.open() as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setitem(cast("dict[str, str]", PLAIN_ENVIRONMENT), "PATH", path)
        yield


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of workspaces, beside the programs of a test."""
    return tmp_path / "root"


async def test_worker_that_stops_leaves_an_endless_removal_to_the_next(tmp_path: Path, root: Path) -> None:
    with hanging_disk(tmp_path):
        async with FolderRemover(stop_seconds=0.0) as remover:
            for _ in range(3):
                await hand_over(root, remover)
            await eventually(lambda: len(processes_with(f"{root}/")) == 2)
            assert await reclaim(root) == 0
        assert processes_with(f"{root}/") == []

    assert await reclaim(root) == 3
    assert left_in(root) == []


async def test_no_more_than_two_folders_are_removed_at_a_time(tmp_path: Path, root: Path) -> None:
    remover = FolderRemover()
    with hanging_disk(tmp_path):
        for _ in range(5):
            await hand_over(root, remover)
        (last := tmp_path / "last").mkdir()
        # Programs start in the order of their requests: what does not run before this one waits.
        removal = asyncio.create_task(remove(last))
        await eventually(lambda: bool(processes_with(str(last))))
        assert len(processes_with(f"{root}/")) == 2

    await removal
    await remover.wait()
    assert left_in(root) == []


async def test_reclaiming_in_the_background_keeps_the_locks(tmp_path: Path) -> None:
    """The start of a worker waited until the files of earlier runs were removed."""
    remover = FolderRemover()
    folder = tmp_path / f"{uuid.uuid4()}-00000000"
    (folder / "home").mkdir(parents=True)
    folder.with_suffix(".lock").touch()

    assert await reclaim(tmp_path, remover) == 1
    assert folder.exists()
    assert await reclaim(tmp_path) == 0
    await remover.wait()

    assert not folder.exists()
    assert not folder.with_suffix(".lock").exists()


def is_ready(root: Path) -> bool:
    return any(root.glob("*/ready"))


def left_in(root: Path) -> list[Path]:
    return list(root.iterdir()) if root.exists() else []


async def test_reclaiming_removes_what_a_killed_worker_left(tmp_path: Path) -> None:
    root = tmp_path / "root"
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import asyncio, os, uuid\n"
        "from pathlib import Path\n"
        "from app.agents.workspace.run_workspace import Workspaces\n"
        "async def main():\n"
        f"    async with Workspaces(Path({str(root)!r}), os.environ).open(uuid.uuid4()) as workspace:\n"
        "        (workspace.home / 'file').touch()\n"
        "        (workspace.folder / 'ready').touch()\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(worker),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stderr=subprocess.DEVNULL,
    )
    await eventually(lambda: is_ready(root))
    assert await reclaim(root) == 0
    process.kill()
    await process.wait()

    assert await reclaim(root) == 1
    assert left_in(root) == []
    assert await reclaim(root) == 0


async def test_reclaiming_keeps_all_files_except_workspaces(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/file", "data.lock", "requirements.lock", f"{uuid.uuid4()}.lock"):
        (tmp_path / name).touch()
    before = sorted(left_in(tmp_path))

    assert await reclaim(tmp_path) == 0
    assert sorted(left_in(tmp_path)) == before
    assert left_in(tmp_path / "data") == [tmp_path / "data/file"]


async def test_reclaiming_where_there_is_nothing(tmp_path: Path) -> None:
    assert await reclaim(tmp_path / "absent") == 0


async def test_what_is_hidden_is_hidden_from_everything_that_runs_there(tmp_path: Path) -> None:
    hidden = tmp_path / "data"

    async with Workspaces(tmp_path / "root", os.environ, hidden=[hidden]).open(uuid.uuid4()) as workspace:
        assert workspace.confinement().hidden == (hidden,)
        assert workspace.confinement(readable=(tmp_path,)).hidden == (hidden,)
