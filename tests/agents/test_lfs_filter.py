"""Pointers, folders of objects, and the filter behind git: the real git, in clones and in the sandbox."""

import hashlib
import shlex
from pathlib import Path

import pytest

from app.agents.git.plumbing import add_settings
from app.agents.lfs.objects import ObjectFolder, Pointer
from app.agents.sandbox.sandbox import Confinement, Sandbox
from app.enums import SandboxKind
from app.processes.own_program import OWN_PROGRAM, module_command
from tests.agents.conftest import Cell, GitFolder
from tests.support.lfs import ATTRIBUTES, pointer_of

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
TEXT = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n"


def test_pointer_of_the_specification_is_read_and_written() -> None:
    assert Pointer.parse(TEXT.encode()) == Pointer(OID, 12345)
    assert Pointer(OID, 12345).text().decode() == TEXT
    assert Pointer(OID, 12345).place == f"4d/7a/{OID}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "\n",
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("12345", "012345"),
        TEXT.replace("12345", "-1"),
        TEXT.replace("12345", "9" * 19),
        TEXT.replace("12345", "١٢"),
        TEXT.replace("sha256", "sha512"),
        TEXT.replace(OID, OID.upper()),
        TEXT.replace(OID, "../../../../etc/passwd"),
        TEXT.replace("spec/v1", "spec/v2"),
        TEXT.replace("size", "x-priority 1\nsize"),
    ],
)
def test_what_a_filter_would_write_otherwise_is_no_pointer(text: str) -> None:
    assert Pointer.parse(text.encode()) is None


def test_object_is_there_when_it_is_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    folder = ObjectFolder(tmp_path, outlives_runs=True)
    pointer = pointer_of(b"content")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / f"{pointer.oid}-of-a-worker-that-was-killed").write_bytes(b"con")

    with folder.draft(pointer.oid) as draft:
        draft.write(b"con")
    assert folder.find(pointer) is None
    with folder.draft(pointer.oid) as slower, folder.draft(pointer.oid) as draft:
        for each in (slower, draft):
            each.write(b"con")
            each.write(b"tent")
            assert each.pointer == pointer
        draft.keep()
        slower.keep()

    found = folder.find(pointer)
    assert found is not None
    assert found.read_bytes() == b"content"
    assert list((tmp_path / "tmp").iterdir()) == []
    assert folder.find(Pointer(pointer.oid, 8)) is None
    found.unlink()
    found.symlink_to("/etc/passwd")
    assert folder.find(Pointer(pointer.oid, Path("/etc/passwd").stat().st_size)) is None


@pytest.fixture
def clone(tmp_path: Path) -> GitFolder:
    """A clone with the filter, where the machine has a git-lfs that does not work."""
    work = tmp_path / "run/work"
    work.mkdir(parents=True)
    clone = GitFolder(work)
    clone.git("init", "--quiet")
    command = [*module_command("app.agents.lfs.filter"), str(work / ".git/lfs"), str(tmp_path / "lent")]
    add_settings(work / ".git", ('filter "lfs"', [("process", shlex.join(command)), ("required", "true")]))
    (tmp_path / "global").write_text('[filter "lfs"]\nclean = false\nsmudge = false\nprocess = false\n')
    (work / ".gitattributes").write_text(ATTRIBUTES)
    return clone


def commit_all(clone: GitFolder) -> None:
    clone.git("add", "--all", GIT_CONFIG_GLOBAL=str(clone.path.parents[1] / "global"))
    clone.git("commit", "--quiet", "--message", "All")


def test_files_become_pointers_and_come_back(clone: GitFolder) -> None:
    contents = {
        "empty.bin": b"",
        "small.bin": b"s",
        "large.bin": bytes(range(256)) * 1000,
        "text.txt": b"text",
    }
    for name, content in contents.items():
        (clone.path / name).write_bytes(content)

    commit_all(clone)

    for name in ("small.bin", "large.bin"):
        pointer = pointer_of(contents[name])
        assert clone.git("show", f"HEAD:{name}").encode() + b"\n" == pointer.text()
        assert ObjectFolder(clone.path / ".git/lfs").find(pointer) is not None
        (clone.path / name).unlink()
    assert clone.git("show", "HEAD:empty.bin") == ""
    clone.git("checkout", "--", ".")
    assert {name: (clone.path / name).read_bytes() for name in contents} == contents
    assert clone.git("status", "--short") == ""


def test_content_comes_from_what_is_lent_and_else_it_stays_a_pointer(
    clone: GitFolder, tmp_path: Path
) -> None:
    lent, absent = b"lent content", pointer_of(b"absent")
    with ObjectFolder(tmp_path / "lent").draft() as draft:
        draft.write(lent)
        draft.keep()
    (clone.path / "lent.bin").write_bytes(pointer_of(lent).text())
    (clone.path / "absent.bin").write_bytes(absent.text())
    commit_all(clone)
    for name in ("lent.bin", "absent.bin"):
        (clone.path / name).unlink()

    clone.git("checkout", "--", ".")

    assert (clone.path / "lent.bin").read_bytes() == lent
    assert (clone.path / "absent.bin").read_bytes() == absent.text()
    assert clone.git("status", "--short") == ""
    (clone.path / "copy.bin").write_bytes(lent)
    commit_all(clone)
    assert ObjectFolder(clone.path / ".git/lfs").find(pointer_of(lent)) is None, "it is there already"


async def test_agent_that_may_only_look_can_ask_for_differences(
    clone: GitFolder, tmp_path: Path, sandbox: Sandbox
) -> None:
    if sandbox.kind is SandboxKind.NONE:
        pytest.skip("there is no sandbox here that keeps a folder from being written to")
    (clone.path / "a.bin").write_bytes(b"old")
    commit_all(clone)
    (clone.path / "a.bin").write_bytes(b"new")
    run = tmp_path / "run"
    for name in ("home", "tmp"):
        (run / name).mkdir()
    cell = Cell(
        sandbox,
        Confinement(
            directory=clone.path,
            directory_writable=False,
            home=run / "home",
            temporary=run / "tmp",
            readable=OWN_PROGRAM,
        ),
    )

    code, said = await cell.run("git", "-c", "safe.directory=*", "diff")

    assert code == 0, said
    assert f"+oid sha256:{hashlib.sha256(b'new').hexdigest()}" in said
    assert ObjectFolder(clone.path / ".git/lfs").find(pointer_of(b"new")) is None
