"""Mirrors that runs share: what they save, who may use them, and what cannot happen to them."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from app.agents.errors import RepositoryNotFound
from app.agents.git.fetch import CloneBase, Source
from app.agents.git.git_command import Remote
from app.agents.git.mirrors import Mirrors
from app.agents.git.run_repository import Author
from app.agents.workspace.run_workspace import Workspace, Workspaces
from tests.agents.conftest import PUSH_BRANCH, GitFolder, Runner, eventually
from tests.support.marked import processes_with

WORK = "```sh\ngit rev-list --count HEAD; cat file*.txt; echo x > x\n```"


@pytest.fixture
def mirrors(tmp_path: Path) -> Mirrors:
    return Mirrors(tmp_path / "mirrors", os.environ, max_bytes=2**30)


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "mirrors").iterdir() if path.is_dir()]


def commit(origin: GitFolder, tmp_path: Path, name: str, text: str = "new\n") -> str:
    """Add a commit of another person to the origin's `main`; nothing is compressed, which takes longest."""
    clone = tmp_path / f"clone-{uuid.uuid4().hex}"
    origin.git("config", "core.compression", "0")
    origin.git("clone", "--quiet", "--config", "core.compression=0", ".", str(clone))
    other = GitFolder(clone)
    (clone / name).write_text(text)
    other.git("add", ".")
    other.git("commit", "--quiet", "--message", f"Add {name}")
    other.git("push", "--quiet", "origin", "main")
    return origin.git("rev-parse", "main")


def take_apart(mirror: Path) -> None:
    """Have each object of a mirror be a file."""
    [pack] = (mirror / "objects/pack").glob("*.pack")
    aside = pack.rename(mirror.parent / "aside.pack")
    for path in pack.parent.iterdir():
        path.unlink()
    with aside.open("rb") as file:
        subprocess.run(["git", "unpack-objects", "-q"], cwd=mirror, stdin=file, check=True)
    aside.unlink()


async def prepare(workspace: Workspace, origin: GitFolder, *, depth: int = 0) -> None:
    source = Source(remote=Remote.parse(origin.url), depth=depth)
    await workspace.prepare(source, PUSH_BRANCH, author=Author())


@pytest.mark.parametrize(("depth", "visible"), [(1, "1"), (2, "2"), (0, "3")])
async def test_run_on_a_mirror_is_like_any_other(
    runner: Runner, origin: GitFolder, mirrors: Mirrors, depth: int, visible: str
) -> None:
    for attempt in range(2):
        branch = f"{PUSH_BRANCH}-{attempt}"
        outcome = await runner.run(
            f"{WORK[:-4]}; test $(git rev-list --count HEAD) = {visible}\n```",
            mirrors=mirrors,
            clone_depth=depth,
            push_branch=branch,
        )

        assert outcome.done.files_changed == ["x"]
        assert origin.git("show", f"{branch}:x") == "x"
        assert origin.git("rev-parse", f"{branch}~1") == origin.git("rev-parse", "main")


async def test_only_what_is_new_is_fetched(origin: GitFolder, mirrors: Mirrors, tmp_path: Path) -> None:
    source = Source(remote=Remote.parse(origin.url))
    grew = []
    for _ in range(2):
        async with Workspaces(tmp_path / "root", os.environ).open(uuid.uuid4()) as workspace:
            base = await look_up(workspace, source)
            borrowed = await mirrors.lend(source, base)
            grew.append(borrowed.grew)
            await mirrors.give_back(borrowed)

    assert grew == [True, False]


async def look_up(workspace: Workspace, source: Source) -> CloneBase:
    workspace.repository.create()
    return await workspace.repository.look_up(source, PUSH_BRANCH)


async def test_open_workspace_does_not_notice_that_others_fetch(
    origin: GitFolder, mirrors: Mirrors, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    async with Workspaces(root, os.environ, mirrors=mirrors).open(uuid.uuid4()) as early:
        await prepare(early, origin, depth=2)
        newest = commit(origin, tmp_path, "late.txt")
        async with Workspaces(root, os.environ, mirrors=mirrors).open(uuid.uuid4()) as late:
            await prepare(late, origin, depth=2)
            assert late.base.sha == newest
        clone = GitFolder(early.work)

        assert clone.git("rev-list", "--count", "HEAD") == "2"
        assert clone.git("fsck", "--connectivity-only", "--no-dangling") == ""
        assert not (early.work / "late.txt").exists()


async def test_parallel_runs_share_one_fetch(origin: GitFolder, mirrors: Mirrors, tmp_path: Path) -> None:
    root = tmp_path / "root"

    async def clone() -> str | None:
        async with Workspaces(root, os.environ, mirrors=mirrors).open(uuid.uuid4()) as workspace:
            await prepare(workspace, origin)
            return workspace.base.sha

    found = await asyncio.gather(*(clone() for _ in range(4)))

    assert set(found) == {origin.git("rev-parse", "main")}
    [mirror] = kept(tmp_path)
    assert len(list((mirror / "objects/pack").glob("*.pack"))) == 1


async def test_mirror_is_not_lent_to_a_run_that_the_origin_refuses(
    runner: Runner, origin: GitFolder, mirrors: Mirrors, tmp_path: Path
) -> None:
    await runner.run(WORK, mirrors=mirrors)
    origin.path.rename(tmp_path / "away")

    outcome = await runner.run(WORK, mirrors=mirrors)

    assert isinstance(outcome.failed, RepositoryNotFound)


async def test_agent_reads_the_mirror_and_cannot_change_it(
    runner: Runner, mirrors: Mirrors, tmp_path: Path
) -> None:
    outcome = await runner.run(
        "```sh\nobjects=$(cat .git/objects/info/alternates)\nls $objects/pack\n"
        "! touch $objects/x\n! rm -f $objects/pack/*.pack\n! ls $objects/../refs\necho x > x\n```",
        mirrors=mirrors,
        hidden=(tmp_path / "mirrors",),
    )

    assert outcome.done.files_changed == ["x"]


async def test_damaged_mirror_costs_time_and_no_run(runner: Runner, mirrors: Mirrors, tmp_path: Path) -> None:
    """The file that it lacks is not taken for one that the agent has deleted."""
    await runner.run(WORK, mirrors=mirrors)
    [mirror] = kept(tmp_path)
    take_apart(mirror)
    blob = GitFolder(mirror).git("rev-parse", "main:file0.txt")
    (mirror / "objects" / blob[:2] / blob[2:]).unlink()

    outcome = await runner.run(WORK, mirrors=mirrors, push_branch="taskbeacon/other")

    assert outcome.done.files_changed == ["x"]
    assert kept(tmp_path) == []


async def test_mirror_without_its_objects_is_filled_again(
    runner: Runner, mirrors: Mirrors, tmp_path: Path
) -> None:
    await runner.run(WORK, mirrors=mirrors)
    [mirror] = kept(tmp_path)
    for path in (mirror / "objects/pack").iterdir():
        path.unlink()

    outcome = await runner.run(WORK, mirrors=mirrors, push_branch="taskbeacon/other")

    assert outcome.done.files_changed == ["x"]
    assert kept(tmp_path) == [mirror]
    GitFolder(mirror).git("fsck", "--strict")


async def test_leftovers_of_a_killed_fetch_are_cleared(
    runner: Runner, origin: GitFolder, mirrors: Mirrors, tmp_path: Path
) -> None:
    await runner.run(WORK, mirrors=mirrors, clone_depth=1)
    [mirror] = kept(tmp_path)
    for name in ("shallow.lock", "packed-refs.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x"):
        (mirror / name).touch()
    newest = commit(origin, tmp_path, "late.txt")

    outcome = await runner.run(WORK, mirrors=mirrors, clone_depth=1, push_branch="taskbeacon/other")

    assert outcome.done.files_changed == ["x"]
    assert GitFolder(mirror).git("rev-parse", "main") == newest
    assert not (mirror / "objects/pack/tmp_pack_x").exists()


async def test_what_is_over_the_limit_goes_unless_it_is_used(origin: GitFolder, tmp_path: Path) -> None:
    small = Mirrors(tmp_path / "mirrors", os.environ, max_bytes=1)
    root = tmp_path / "root"
    async with Workspaces(root, os.environ, mirrors=small).open(uuid.uuid4()) as workspace:
        await prepare(workspace, origin)
        async with Workspaces(root, os.environ, mirrors=small).open(uuid.uuid4()) as other:
            await prepare(other, origin, depth=1)
        # The other one is gone, ours is in use.
        assert len(kept(tmp_path)) == 1
        assert GitFolder(workspace.work).git("rev-list", "--count", "HEAD") == "3"

    assert kept(tmp_path) == []


@pytest.mark.parametrize("with_mirror", [True, False])
async def test_partial_clone_leaves_out_old_files_only(
    runner: Runner, origin: GitFolder, mirrors: Mirrors, tmp_path: Path, with_mirror: bool
) -> None:
    origin.git("config", "uploadpack.allowFilter", "true")
    old = origin.git("rev-parse", "main:file0.txt")
    commit(origin, tmp_path, "file0.txt", "changed\n")

    outcome = await runner.run(
        f'```sh\ntest "$(cat file0.txt)" = changed\ngit log --oneline\n! git cat-file -e {old}\necho x > x\n```',
        mirrors=mirrors if with_mirror else None,
        clone_filter="blob:none",
        clone_depth=0,
    )

    assert outcome.done.files_changed == ["x"]
    assert origin.git("show", f"{PUSH_BRANCH}:x") == "x"


async def test_resumed_work_starts_from_its_branch_and_moves_it(
    runner: Runner, origin: GitFolder, mirrors: Mirrors
) -> None:
    await runner.run("```sh\necho one > one\n```", mirrors=mirrors)

    outcome = await runner.run("```sh\ncat one; echo two > two\n```", mirrors=mirrors, resumes=True)

    assert outcome.done.files_changed == ["two"]
    assert outcome.done.base_branch == "main"
    assert origin.git("rev-list", "--count", f"main..{PUSH_BRANCH}") == "2"


FETCHING_WORKER = """
import asyncio, os, sys
from pathlib import Path
from app.agents.git.fetch import CloneBase, Source
from app.agents.git.git_command import Remote
from app.agents.git.mirrors import Mirrors

async def main():
    mirrors = Mirrors(Path(sys.argv[1]), os.environ, max_bytes=2**30)
    source = Source(remote=Remote(sys.argv[2]))
    await mirrors.lend(source, CloneBase(branch="main", start="main", sha=sys.argv[3]))
    print("fetched", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("git_too", [True, False])
async def test_worker_killed_while_it_fetches_leaves_a_mirror_that_can_be_used(
    runner: Runner, origin: GitFolder, mirrors: Mirrors, tmp_path: Path, git_too: bool
) -> None:
    """As by a machine that goes down, and as by the kernel that ends one process: its git then goes on, and keeps
    others away until it has ended."""
    newest = commit(origin, tmp_path, "large.bin", secrets.token_hex(8 * 2**20))
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FETCHING_WORKER, str(tmp_path / "mirrors"), origin.url, newest),
        stdout=asyncio.subprocess.PIPE,
    )
    await eventually(lambda: bool(list((tmp_path / "mirrors").glob("*/objects/pack/tmp_pack_*"))))
    worker.kill()
    fetching = [pid for pid in processes_with(origin.url) if pid != worker.pid]
    for pid in fetching if git_too else ():
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    printed, _ = await worker.communicate()
    assert (worker.returncode, printed, bool(fetching)) == (-signal.SIGKILL, b"", True)

    outcome = await runner.run(WORK, mirrors=mirrors, clone_depth=0)

    assert outcome.done.files_changed == ["x"]
    [mirror] = kept(tmp_path)
    assert GitFolder(mirror).git("rev-parse", "main") == newest
    assert GitFolder(mirror).git("fsck", "--connectivity-only", "--no-dangling") == ""
    assert list((mirror / "objects/pack").glob("tmp_*")) == []


async def test_packs_of_many_fetches_are_joined_once_no_run_reads_them(
    origin: GitFolder, mirrors: Mirrors, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    async with Workspaces(root, os.environ, mirrors=mirrors).open(uuid.uuid4()) as early:
        await prepare(early, origin)
        [mirror] = kept(tmp_path)
        for number in range(40):
            pack_of_its_own(GitFolder(mirror), tmp_path / f"{number}.txt")
        newest = commit(origin, tmp_path, "late.txt")
        async with Workspaces(root, os.environ, mirrors=mirrors).open(uuid.uuid4()) as late:
            await prepare(late, origin)
        while_read = packs_of(mirror)
        assert GitFolder(early.work).git("fsck", "--connectivity-only", "--no-dangling") == ""

    assert while_read > 40
    assert packs_of(mirror) == 1
    assert GitFolder(mirror).git("rev-parse", "main") == newest
    assert GitFolder(mirror).git("fsck", "--connectivity-only", "--no-dangling") == ""


def packs_of(mirror: Path) -> int:
    return len(list((mirror / "objects/pack").glob("*.pack")))


def pack_of_its_own(mirror: GitFolder, file: Path) -> None:
    """Give a mirror one more pack, of a file that nothing else holds."""
    file.write_text(file.name)
    subprocess.run(
        ["git", "pack-objects", "--quiet", "objects/pack/pack"],
        cwd=mirror.path,
        input=mirror.git("hash-object", "-w", str(file)).encode(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
