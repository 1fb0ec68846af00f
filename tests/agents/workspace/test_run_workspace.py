"""Agents that leave traps for the worker that collects their work. A trap that goes off writes to a canary.

What an agent does is a shell script here, in the same sandbox and workspace that a run gives to a real one.
"""

import asyncio
import os
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from app.agents.errors import RepositoryError, WorkspaceBroken
from app.agents.git.fetch import Source
from app.agents.git.git_command import Remote
from app.agents.git.run_repository import Author
from app.agents.sandbox.confinement import Sandbox, confined_environment
from app.agents.workspace.run_workspace import Workspaces
from app.agents.workspace.work_bundle import GATHER
from tests.agents.conftest import PUSH_BRANCH, Cell, GitFolder, in_each_sandbox, make_origin
from tests.agents.workspace.conftest import Collector

pytestmark = pytest.mark.walls


@dataclass
class Canary:
    """A file outside the workspace that a trap in the worker would make."""

    path: Path

    @property
    def sings(self) -> bool:
        return not self.path.exists()


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "canary")


# Traps that do not disturb each other lie in one workspace; each has its own canary.
TRAPS = {
    "configured": {
        "fsmonitor": "git config core.fsmonitor 'touch {canary}; :'",
        "hooks path": "mkdir h; printf '#!/bin/sh\\ntouch {canary}' > h/pre-commit; chmod +x h/*; "
        "git config core.hooksPath $PWD/h",
        "filter": "git config filter.x.clean 'touch {canary}; cat'; git config filter.x.smudge 'touch {canary}; cat'; "
        "echo '* filter=x' > .gitattributes",
        "ssh command": "git config core.sshCommand 'touch {canary}'; git remote set-url origin ssh://x/y",
        "credential helper": "git config credential.helper '!touch {canary}'",
        "pack objects hook": "git config uploadpack.packObjectsHook 'touch {canary}; :'",
        "gpg program": "git config commit.gpgSign true; git config gpg.program 'touch {canary}; :'",
        "editor": "git config core.editor 'touch {canary}'",
        "pager": "git config core.pager 'touch {canary}'",
    },
    "laid": {
        "hooks": "mkdir -p .git/hooks; for h in pre-commit post-commit post-checkout reference-transaction pre-push "
        "post-index-change; do printf '#!/bin/sh\\ntouch {canary}' > .git/hooks/$h; chmod +x .git/hooks/$h; done",
        "textconv": "git config diff.x.textconv 'touch {canary}; cat'; git config diff.x.command 'touch {canary}'; "
        "echo '* diff=x' > .gitattributes",
        "ext remote": "git config remote.origin.url \"ext::sh -c 'touch {canary}'\"",
        "promisor": "git config extensions.partialClone origin; git config remote.origin.promisor true",
        "include": "printf '[core]\\nfsmonitor = touch {canary}; :\\n' > evil; git config include.path $PWD/evil",
    },
    "around": {
        "global configuration": "git config --global core.fsmonitor 'touch {canary}; :'",
        "nested repository": "git init -q sub; (cd sub; git config user.name x; git config user.email x; echo 1 > f; "
        "git add f; git commit -qm x; git config core.fsmonitor 'touch {canary}; :'; echo 2 > f)",
    },
    "worktree elsewhere": {"worktree elsewhere": "git config core.worktree /"},
}


@pytest.mark.parametrize("traps", TRAPS.values(), ids=TRAPS)
async def test_traps_do_not_go_off_and_the_work_arrives(
    collector: Collector, origin: GitFolder, tmp_path: Path, traps: dict[str, str]
) -> None:
    canaries = {name: tmp_path / f"canary-{number}" for number, name in enumerate(traps)}
    laid = (trap.replace("{canary}", str(canaries[name])) for name, trap in traps.items())

    collected = await collector.collect("\n".join(laid), "echo work > work.txt")

    assert [name for name, canary in canaries.items() if canary.exists()] == []
    assert "work.txt" in collected.changes.files
    assert origin.git("show", f"{PUSH_BRANCH}:work.txt") == "work"


BROKEN = {
    "removed": "rm -rf .git",
    "a file": "rm -rf .git; echo x > .git",
    "a link to the system": "rm -rf .git; ln -s /etc .git",
    "a link to itself": "rm -rf .git; ln -s .git .git",
    "a gitfile that leads out": "rm -rf .git; echo 'gitdir: /etc' > .git",
    "without objects": "rm -rf .git/objects/*",
    "with a damaged index": "head -c 100 /dev/urandom > .git/index",
    "with alternates elsewhere": "mkdir -p .git/objects/info; echo /etc > .git/objects/info/alternates",
    "locked": "touch .git/index.lock .git/HEAD.lock",
    "with configuration that is none": "echo '[[[' > .git/config",
    "pointing at nothing": "echo 'ref: refs/heads/nope' > .git/HEAD",
    "in the middle of a merge": "git rev-parse HEAD > .git/MERGE_HEAD",
    "bare": "git config core.bare true",
}


async def test_files_arrive_even_if_the_agents_repository_is_broken(
    collector: Collector, origin: GitFolder
) -> None:
    async with collector.opened() as opened:
        for how, script in BROKEN.items():
            await opened.renew(f"echo {how} > work.txt; {script}")
            collected = await opened.push()

            assert collected.changes.files == ["work.txt"], how
            assert origin.git("show", f"{PUSH_BRANCH}:work.txt") == how
            assert origin.git("rev-parse", f"{PUSH_BRANCH}~1") == origin.git("rev-parse", "main"), how


async def test_links_are_committed_as_links(collector: Collector, origin: GitFolder) -> None:
    await collector.collect("ln -s /etc/passwd passwd")

    assert origin.git("cat-file", "-p", f"{PUSH_BRANCH}:passwd") == "/etc/passwd"


async def test_special_files_are_left_out(collector: Collector) -> None:
    collected = await collector.collect("mkfifo pipe; echo x > x")

    assert collected.changes.files == ["x"]


HISTORIES = (
    "git checkout -q --orphan fresh; git commit -qm 'New history'",
    "git commit -q --amend -m 'Rewritten'",
    "git reset -q --hard HEAD~1; echo x > x; git add x; git commit -qm 'From before'",
    "git checkout -q -b other; git commit -q --allow-empty -m 'On another branch'",
    "git checkout -q --detach; git commit -q --allow-empty -m 'Detached'",
)


async def test_any_history_that_the_agent_made_is_pushed_as_it_is(
    collector: Collector, origin: GitFolder
) -> None:
    async with collector.opened() as opened:
        for history in HISTORIES:
            await opened.renew(f"{history}; echo work > work.txt")
            collected = await opened.push()

            assert origin.git("rev-parse", PUSH_BRANCH) == collected.head, history
            assert "work.txt" in collected.changes.files, history
            assert origin.git("log", "-1", "--format=%s", f"{PUSH_BRANCH}~1") in history


async def test_going_back_in_history_is_a_change_too(collector: Collector, origin: GitFolder) -> None:
    collected = await collector.collect("git reset -q --hard HEAD~1")

    assert collected.head == origin.git("rev-parse", "main~1")
    assert collected.changes.files == ["file2.txt"]


@pytest.mark.parametrize(
    "manipulated",
    [
        pytest.param(f"echo {'1' * 40}", id="without commits"),
        pytest.param(GATHER.replace('echo "$made"', f"echo {'1' * 40}"), id="beside others"),
    ],
)
async def test_commit_that_a_manipulated_git_reports_must_exist(
    collector: Collector, manipulated: str
) -> None:
    """Should a trap go off in the sandbox, what comes out of it is still no more than data."""
    assert manipulated != GATHER
    with pytest.raises(WorkspaceBroken, match="its last commit is missing"):
        await collector.collect("echo work > work.txt", program=manipulated)


async def test_commit_with_a_git_folder_in_its_tree_is_refused(
    collector: Collector, origin: GitFolder
) -> None:
    with pytest.raises(RepositoryError, match=r"invalid path '\.git/config'"):
        await collector.collect(
            "blob=$(echo '[core]' | git hash-object -w --stdin)\n"
            'inner=$(printf "100644 blob $blob\\tconfig\\n" | git mktree)\n'
            'tree=$(printf "040000 tree $inner\\t.git\\n" | git mktree)\n'
            "git update-ref HEAD $(git commit-tree -p HEAD -m evil $tree)"
        )

    assert origin.branches() == ["main"]


async def test_unreadable_and_very_deep_leftovers_are_removed(collector: Collector) -> None:
    await collector.collect(
        'python3 -c "import os\n'
        "os.chdir('.taskbeacon'); os.mkdir('locked'); open('locked/f', 'w'); os.chmod('locked', 0)\n"
        "for _ in range(30):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\n\""
    )

    assert list(collector.left()) == []


@pytest.mark.ordinary_user
async def test_files_that_cannot_be_read_are_reported(collector: Collector) -> None:
    collected = await collector.collect("echo x > x; chmod 0 x; echo y > y")

    assert collected.changes.files == ["y"]
    assert "Permission denied" in collected.left_out


async def test_names_of_any_bytes_can_be_reported(collector: Collector) -> None:
    collected = await collector.collect(
        """printf x > "$(printf 'b\\377\\376')"; touch -- -rf ':(top)x' 'é "q"' "$(printf 'new\\nline')" """
    )

    assert sorted(collected.changes.files) == sorted(
        ["b\ufffd\ufffd", 'é "q"', "new\nline", "-rf", ":(top)x"]
    )


async def test_attributes_of_the_repository_start_nothing(collector: Collector, tmp_path: Path) -> None:
    odd = make_origin(tmp_path / "odd", {".gitattributes": "* filter=lfs diff=lfs merge=lfs\n", "a": "1\n"})

    collected = await collector.collect("echo 2 > a", origin=odd)

    assert collected.changes.files == ["a"]
    assert b"+2" in collected.changes.patch


async def test_repository_with_a_command_as_submodule_is_refused(
    collector: Collector, tmp_path: Path, canary: Canary
) -> None:
    modules = (
        f'[submodule "x"]\n\tpath = x\n\turl = ext::touch {canary.path}\n\tupdate = !touch {canary.path}\n'
    )
    odd = make_origin(tmp_path / "odd", {".gitmodules": modules})

    with pytest.raises(RepositoryError, match="gitmodules"):
        await collector.collect("echo work > work.txt", origin=odd)

    assert canary.sings


NESTED = (
    "git init -q sub; cd sub; git config user.name x; git config user.email x; echo 1 > f; git add f; "
    "git commit -qm x; echo '* filter=x' > .gitattributes; git config filter.x.clean 'touch {ran}; cat'; "
    "git config filter.x.process 'touch {ran}'; cd ..; git add sub; git commit -qm 'With a repository below'; "
    "sleep 0.01; echo 2 > sub/f"
)


@in_each_sandbox
@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
async def test_filter_of_a_nested_repository_does_not_run_while_work_is_gathered(
    collector: Collector, again: bool
) -> None:
    """Git starts `git status` in a repository that the index knows, and that obeys what is configured there."""
    async with Workspaces(collector.root, os.environ).open(uuid.uuid4()) as space:
        source = Source(remote=Remote.parse(collector.origin.url), depth=50)
        await space.prepare(source, PUSH_BRANCH, author=Author())
        ran = space.work / ".taskbeacon/ran"
        cell = Cell(collector.sandbox, space.confinement())
        code, output = await cell.run("sh", "-ec", NESTED.replace("{ran}", str(ran)))
        assert code == 0, output
        collected = await space.collect(collector.sandbox, "Do the thing")
        if again:
            collected = await space.collect(collector.sandbox, "Do the thing")
        assert not ran.exists()

    assert collected.changes.files == ["sub"]


async def test_removed_nested_repository_is_gone_from_the_work(collector: Collector) -> None:
    collected = await collector.collect(NESTED.replace("{ran}", "ran"), "rm -rf sub; echo work > work.txt")

    assert collected.changes.files == ["work.txt"]


# By what makes them, each with its path as it is reported.
PIPES = {
    "in the repository": {
        "b=.git/$(sed 's/ref: //' .git/HEAD); rm -f $b; mkdir -p $(dirname $b); mkfifo $b": "/refs/heads/",
        "rm .git/HEAD; mkfifo .git/HEAD": "./.git/HEAD",
        "rm .git/config; mkfifo .git/config": "./.git/config",
        "rm -f .git/index; mkfifo .git/index": "./.git/index",
        "rm -f .git/packed-refs; mkfifo .git/packed-refs": "./.git/packed-refs",
        "mkdir -p .git/objects/info; mkfifo .git/objects/info/alternates": "./.git/objects/info/alternates",
        "mkfifo .gitattributes": "./.gitattributes",
        "mkdir d; echo x > d/f; mkfifo d/.gitattributes": "./d/.gitattributes",
        "mkfifo .gitignore": "./.gitignore",
        "mkfifo .gitmodules": "./.gitmodules",
        "git init -q sub; rm sub/.git/HEAD; mkfifo sub/.git/HEAD": "./sub/.git/HEAD",
        "mkdir other; mkfifo other/.git; echo x > other/f": "./other/.git",
    },
    "behind links": {
        "mkfifo $HOME/p; rm .git/HEAD; ln -s $HOME/p .git/HEAD": "home/p",
        "mkfifo $TMPDIR/p; ln -s $TMPDIR/p .gitattributes": "tmp/p",
    },
    "for the repository": {"rm -rf .git; mkfifo .git": "./.git"},
}


@in_each_sandbox
@pytest.mark.parametrize("pipes", PIPES.values(), ids=PIPES)
async def test_named_pipes_hold_nothing_up(collector: Collector, pipes: dict[str, str]) -> None:
    async with asyncio.timeout(120):
        collected = await collector.collect("echo work > work.txt", "\n".join(pipes))

    assert "work.txt" in collected.changes.files
    assert "Named pipes stay behind" in collected.left_out
    assert [path for path in pipes.values() if path not in collected.left_out] == []


@in_each_sandbox
async def test_file_that_never_ends_holds_nothing_up_for_long(collector: Collector) -> None:
    with pytest.raises(WorkspaceBroken, match="took over 1 s"):
        async with asyncio.timeout(120):
            await collector.collect("ln -sf /proc/self/fd/1 .git/config", within=timedelta(seconds=1))


# Of git while it compares: an eighth of what it has otherwise, and the files are as much smaller.
COMPARING_MEMORY = 64 * 2**20
# The worker's git is in no sandbox.
LARGE = {
    # Git would take 43 times its size to compare it line by line.
    "empty lines": "yes '' | head -c 7500000 > large",
    "changed": "head -c 1250000 /dev/zero | tr '\\0' '\\n' > large; git add large; git commit -qm large; "
    "yes | head -c 15000000 > large",
    # It takes none of the disk, but seconds.
    "a hole": "truncate -s 66M large",
}


@pytest.mark.parametrize("leaves", LARGE)
async def test_git_of_the_worker_compares_large_files_within_its_memory(
    collector: Collector, origin: GitFolder, leaves: str
) -> None:
    collected = await collector.collect(
        f"{LARGE[leaves]}; echo work > work.txt", within=timedelta(minutes=5), memory=COMPARING_MEMORY
    )

    assert sorted(collected.changes.files) == ["large", "work.txt"]
    assert origin.git("show", f"{PUSH_BRANCH}:work.txt") == "work"
    assert int(origin.git("cat-file", "-s", f"{PUSH_BRANCH}:large")) >= 7_500_000
    assert b"+work" in collected.changes.patch
    assert b"large" not in collected.changes.patch
    assert collected.left_out.startswith("Files over 4 MiB are left out of the patch")


async def test_big_patch_is_cut_with_a_mark(collector: Collector) -> None:
    collected = await collector.collect("seq 1 2000000 > numbers.txt")

    assert collected.changes.patch.endswith(
        b"\n# The patch was cut here: it is longer than 10485760 bytes.\n"
    )
    assert len(collected.changes.patch) < 10.1 * 2**20


SUBJECTS = {
    "  two\nlines ": "two lines",
    "# heading": "# heading",
    "-m x": "-m x",
    " ": "",
    "é" * 300: "é" * 300,
}


async def test_any_subject_makes_a_commit(collector: Collector, origin: GitFolder) -> None:
    async with collector.opened() as opened:
        await opened.run("echo work > work.txt")
        for subject, written in SUBJECTS.items():
            collected = await opened.push(subject)

            assert collected.changes.files == ["work.txt"]
            assert origin.git("log", "-1", "--format=%B", PUSH_BRANCH) == written


async def test_what_a_program_in_the_clone_prints_is_kept_up_to_a_limit(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    """Regression: the worker kept all output in memory, as of a git that lists what a hostile set-up has left."""
    async with Workspaces(tmp_path, os.environ).open(uuid.uuid4()) as workspace:
        workspace.work.mkdir()
        printed = await workspace.execute(
            sandbox, ("head", "-c", "100M", "/dev/zero"), confined_environment({})
        )

    assert (printed.code, printed.is_truncated, len(printed.output)) == (0, True, 64 * 2**20)
