"""What is shown of the work of an agent that is still there (contract 19.1). Agents are shell scripts here."""

import random
import time
from pathlib import Path

import pytest

from app.agents.git.patches import PatchReader
from app.agents.workspace.live_patch import Comparison
from tests.agents.conftest import GitFolder, in_each_sandbox, make_origin
from tests.agents.workspace.conftest import Collector, Opened
from tests.agents.workspace.test_run_workspace import BROKEN, NESTED, TRAPS

pytestmark = pytest.mark.walls


async def compare(opened: Opened) -> Comparison:
    return await opened.workspace.compare(opened.cell.sandbox)


def files_of(comparison: Comparison) -> list[str]:
    """The files in the patch, in its order."""
    lines = comparison.patch.decode().splitlines()
    return [line.rpartition(" b/")[2] for line in lines if line.startswith("diff --git ")]


def named(comparison: Comparison) -> list[tuple[str, str, int | None]]:
    """The files in the patch, as clients get them."""
    reader = PatchReader()
    return [
        (file.names[1], file.status, file.sizes[1] if file.is_bare else None)
        for file in (*reader.feed(comparison.patch), *reader.finish())
    ]


@in_each_sandbox
async def test_changes_are_seen_while_the_agent_is_there(collector: Collector) -> None:
    async with collector.opened() as opened:
        nothing = await compare(opened)
        assert (nothing.patch, nothing.texts) == (b"", {})
        await opened.run("echo more >> file0.txt; echo new > new.txt; rm file1.txt; mv file2.txt moved.txt")

        first = await compare(opened)

        assert files_of(first) == ["file0.txt", "file1.txt", "moved.txt", "new.txt"]
        assert b"+more\n" in first.patch
        assert b"rename from file2.txt\nrename to moved.txt\n" in first.patch
        assert first.texts == {f"file{n}.txt": f"content {n}\n" for n in range(2)}
        assert await compare(opened) == first
        await opened.run("echo 'more and more' >> new.txt")
        second = await compare(opened)
        assert second.tree != first.tree
        assert b"+more and more\n" in second.patch


async def test_commits_and_ignored_files_count_as_they_will_in_the_end(collector: Collector) -> None:
    async with collector.opened() as opened:
        await opened.run(
            "printf 'ignored\\nforced\\n' > .gitignore; echo 1 > ignored; echo 1 > forced; git add -f forced; "
            "echo 1 > committed; git add committed; git commit -qm one; rm committed; echo 2 > after; mkdir -p .taskbeacon; "
            "echo x > .taskbeacon/secret"
        )

        shown = files_of(await compare(opened))

        assert shown == [".gitignore", "after", "forced"]
        collected = await opened.workspace.collect(opened.cell.sandbox, "Do the thing")
        assert collected.changes.files == shown


async def test_work_from_an_empty_repository_is_new(collector: Collector, tmp_path: Path) -> None:
    collector.origin = make_origin(tmp_path / "empty", {})
    async with collector.opened() as opened:
        await opened.run("echo 1 > a; mkdir b; echo 2 > b/c")

        assert files_of(await compare(opened)) == ["a", "b/c"]


@pytest.mark.parametrize("seed", range(3))
async def test_comparison_is_that_of_git(collector: Collector, tmp_path: Path, seed: int) -> None:
    """Of the same tree, in a copy that no agent has touched, with the patch as a plain git writes it."""
    chance = random.Random(seed)  # noqa: S311 - for a test
    names = [f"d{n % 4}/f{n}.txt" for n in range(40)]
    collector.origin = make_origin(
        tmp_path / "many", {name: "".join(f"{name} {line}\n" for line in range(30)) for name in names}
    )
    async with collector.opened() as opened:
        work = opened.workspace.work
        for _ in range(3):
            for name in chance.sample(names, 12):
                path = work / name
                match chance.randrange(6):
                    case 0:
                        path.unlink(missing_ok=True)
                    case 1 if path.is_file():
                        path.rename(path.with_name(f"moved-{path.name}"))
                    case 2:
                        path.with_suffix(".link").unlink(missing_ok=True)
                        path.with_suffix(".link").symlink_to(path.name)
                    case 3 if path.is_file():
                        path.chmod(0o755)
                    case 4:
                        path.with_name(f"{chance.random()}").write_bytes(b"\0" + chance.randbytes(200))
                    case _:
                        # Of the same size, within the second.
                        path.write_text("".join(f"{name} {chance.randrange(10)}\n" for _ in range(30)))
            shown = await compare(opened)

            copy = GitFolder(tmp_path / "copy")
            await opened.run("cp -a . $TMPDIR/copy")
            (opened.workspace.places.temporary / "copy").rename(copy.path)
            copy.git("add", "--all", "--", ".", ":(exclude).taskbeacon")
            expected = copy.git(
                "-c", "core.quotePath=false", "diff", "--cached", "--full-index", "--no-color", "origin/main"
            )
            copy.path.rename(tmp_path / f"{chance.random()}")
            assert shown.patch.decode().strip() == expected


@pytest.mark.parametrize("traps", TRAPS.values(), ids=TRAPS)
async def test_traps_do_not_go_off(collector: Collector, tmp_path: Path, traps: dict[str, str]) -> None:
    canaries = {name: tmp_path / f"canary-{number}" for number, name in enumerate(traps)}
    # In places that the agent can write, too.
    laid = [trap.replace("{canary}", f"$TMPDIR/{number}") for number, trap in enumerate(traps.values())]
    async with collector.opened() as opened:
        await opened.run(
            "\n".join(laid) + "\nrm -f $TMPDIR/[0-9]; echo work > work.txt; echo more >> file0.txt"
        )

        shown = await compare(opened)

        assert "work.txt" in files_of(shown)
        gone_off = [
            name
            for number, name in enumerate(canaries)
            if (opened.workspace.places.temporary / f"{number}").exists()
        ]
        assert gone_off == []


async def test_repository_below_is_not_entered(collector: Collector) -> None:
    async with collector.opened() as opened:
        await opened.run(NESTED.replace("{ran}", "$TMPDIR/ran") + "; rm -f $TMPDIR/ran")

        await compare(opened)

        assert not (opened.workspace.places.temporary / "ran").exists()


async def test_broken_repository_of_the_agent_changes_nothing(collector: Collector) -> None:
    async with collector.opened() as opened:
        for how, script in BROKEN.items():
            await opened.renew(f"echo {how} > work.txt; {script}")

            shown = files_of(await compare(opened))

            # A file that it has in an index of its own can be shown, as it would be taken.
            assert shown == ["work.txt"], how


async def test_special_and_large_files_are_named_and_not_opened(collector: Collector) -> None:
    async with collector.opened() as opened:
        await opened.run(
            "mkfifo pipe; rm file0.txt; mkfifo file0.txt; truncate -s 2G huge; truncate -s 5M file1.txt; echo x > x"
        )
        began = time.monotonic()

        shown = await compare(opened)

        assert named(shown) == [
            ("file1.txt", "M", 5 * 2**20),
            ("huge", "A", 2 * 2**30),
            ("x", "A", None),
        ]
        assert shown.notes == ["file0.txt is no file any more."]
        assert time.monotonic() - began < 60, "git read two gigabytes"


async def test_big_patch_is_cut_with_a_mark(collector: Collector) -> None:
    async with collector.opened() as opened:
        await opened.run(
            "for n in 1 2 3 4; do seq ${n}00000 ${n}99999 > n$n; seq ${n}00000 ${n}99999 >> n$n; "
            "seq ${n}00000 ${n}99999 >> n$n; done; for n in 5 6 7 8; do cp n1 n$n; done"
        )

        shown = await compare(opened)

        assert 10 * 2**20 - 2**10 < len(shown.patch) < 10 * 2**20 + 2**10
        assert shown.patch.splitlines()[-1].startswith(b"# The patch was cut here")


async def test_names_of_any_bytes_are_shown(collector: Collector) -> None:
    async with collector.opened() as opened:
        await opened.run(
            """printf x > "$(printf 'b\\377\\376')"; for f in -rf ':(top)x' "$(printf 'new\\nline')"; do echo x > "./$f"; done """
            "; truncate -s 5M \"$(printf 'l\\377')\""
        )

        shown = await compare(opened)

        assert [name for name, _, _ in named(shown)] == [
            "l\ufffd",
            "-rf",
            ":(top)x",
            "b\ufffd\ufffd",
            "new\nline",
        ]


async def test_nothing_is_written_where_the_agent_works(collector: Collector) -> None:
    async with collector.opened() as opened:
        await opened.run("echo work > work.txt; echo 1 >> file0.txt; touch file1.txt")
        await opened.run("find . -printf '%p %T@ %s\\n' | sort > $TMPDIR/before")

        await compare(opened)

        await opened.run("find . -printf '%p %T@ %s\\n' | sort | cmp - $TMPDIR/before")


async def test_many_large_files_and_long_names_are_counted(collector: Collector) -> None:
    async with collector.opened() as opened:
        await opened.run(
            "for n in $(seq 150); do truncate -s 5M huge$n; done\n"
            "d=$(printf '%080d/%080d' 0 0 | tr 0 '\\377')\nmkdir -p $d\n"
            "p=$(printf %0196d 0 | tr 0 '\\377')\nfor n in $(seq -w 4850); do echo > $d/$p$n; done"
        )

        shown = await compare(opened)

        assert len(named(shown)) == 5000
        assert sum(size is not None for _, _, size in named(shown)) == 150


async def test_texts_are_those_of_their_files(collector: Collector, tmp_path: Path) -> None:
    names = [r'"a\377\nblob x"', r'"b\377\nblob 7"', "c"]  # as git quotes them
    collector.origin = make_origin(tmp_path / "names", {name: f"{name}\n" for name in names})
    async with collector.opened() as opened:
        await opened.run('for file in *; do echo more >> "$file"; done')
        texts = {
            "a\ufffd\nblob x": f"{names[0]}\n",
            "b\ufffd\nblob 7": f"{names[1]}\n",
            "c": f"{names[2]}\n",
        }

        assert (await compare(opened)).texts == texts
        collected = await opened.workspace.collect(opened.cell.sandbox, "Do the thing")
        assert collected.changes.texts == texts
