"""Patches of git, read file by file; and anything else that may be stored in place of one."""

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agents.git.patches import SHOWN_BYTES, PatchedFile, PatchReader


def read(patch: bytes, *, step: int = 0, offset: int = 0) -> list[PatchedFile]:
    reader = PatchReader(offset)
    step = step or len(patch) or 1
    files = [file for at in range(0, len(patch), step) for file in reader.feed(patch[at : at + step])]
    return [*files, *reader.finish()]


def shown(file: PatchedFile) -> tuple[str, tuple[str, str], int, int, bool]:
    return file.status, file.names, file.additions, file.deletions, file.is_binary


def git(folder: Path, *arguments: str) -> bytes:
    who = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True).stdout


def noise(size: int) -> bytes:
    return b"\0" + b"".join(sha256(b"%d" % at).digest() for at in range(size // 32 + 1))[: size - 1]


@pytest.fixture(scope="module")
def patch(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The patch that git itself makes of every kind of change, with the options of the worker."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "--quiet")
    for name, content in {
        "changed.txt": b"one\ntwo\nthree\n",
        "deleted.txt": b"-- a\n++ b\n",
        "moved from.txt": b"".join(b"line %d\n" % number for number in range(20)),
        "mode.sh": b"true\n",
        "binary.bin": bytes(range(256)),
        "large.bin": noise(4000),
        "gone.bin": bytes(range(32)),
        "no end": b"a",
        "latin.txt": b"gr\xfc\xdfe\n",
    }.items():
        (folder / name).write_bytes(content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    (folder / "changed.txt").write_bytes(b"one\n2\nthree\nfour\ndiff --git a/x b/x\n")
    (folder / "deleted.txt").unlink()
    (folder / "moved from.txt").rename(folder / "moved to.txt")
    (folder / "mode.sh").chmod(0o755)
    (folder / "binary.bin").write_bytes(bytes(range(255, -1, -1)))
    (folder / "large.bin").write_bytes(noise(4000) + noise(40))
    (folder / "gone.bin").unlink()
    (folder / "new.bin").write_bytes(b"\0" * 70)
    (folder / "no end").write_bytes(b"b")
    (folder / "latin.txt").write_bytes(b"gr\xfcn\n")
    (folder / "empty").touch()
    (folder / 'odd "\t\n\\ é name').write_bytes(b"+++ b/other\n--- a/other\n")
    git(folder, "add", "--all")
    return git(folder, "diff", "--no-color", "--no-ext-diff", "--binary", "--full-index", "--cached")


def test_every_kind_of_change_is_read(patch: bytes) -> None:
    odd = 'odd "\t\n\\ é name'
    assert sorted(map(shown, read(patch))) == sorted(
        [
            ("M", ("changed.txt", "changed.txt"), 3, 1, False),
            ("D", ("deleted.txt", "deleted.txt"), 0, 2, False),
            ("R", ("moved from.txt", "moved to.txt"), 0, 0, False),
            ("M", ("mode.sh", "mode.sh"), 0, 0, False),
            ("M", ("binary.bin", "binary.bin"), 0, 0, True),
            ("M", ("large.bin", "large.bin"), 0, 0, True),
            ("D", ("gone.bin", "gone.bin"), 0, 0, True),
            ("A", ("new.bin", "new.bin"), 0, 0, True),
            ("M", ("no end", "no end"), 1, 1, False),
            ("M", ("latin.txt", "latin.txt"), 1, 1, False),
            ("A", ("empty", "empty"), 0, 0, False),
            ("A", (odd, odd), 2, 0, False),
        ]
    )


def test_texts_are_the_parts_of_the_patch(patch: bytes) -> None:
    for file in read(patch):
        text = file.text
        assert not file.is_truncated
        if text is None:
            assert file.is_binary
        else:
            assert text.startswith("diff --git ")
            begin = patch[file.offset :].decode(errors="replace")
            assert begin.startswith(text)
            assert begin[len(text) :].startswith("diff --git ") or begin == text


def test_binary_files_have_their_sizes(patch: bytes) -> None:
    assert b"\ndelta " in patch
    assert {file.names[1]: file.sizes for file in read(patch) if file.is_binary} == {
        "binary.bin": (256, 256),
        "large.bin": (4000, 4040),
        "gone.bin": (32, 0),
        "new.bin": (0, 70),
    }
    head = b"diff --git a/a b/a\nGIT binary patch\n"
    for wrong in (b"", b"delta 9\nz~~~\n", b"delta 9\nAcmZ\n", b"literal x\n"):
        assert [file.sizes for file in read(head + wrong)] == [(None, None)]
    assert {file.sizes for file in read(patch) if not file.is_binary} == {(None, None)}


@pytest.mark.parametrize("step", [1, 7, 100])
def test_chunks_make_no_difference(patch: bytes, step: int) -> None:
    def whole(files: list[PatchedFile]) -> list[object]:
        return [(shown(file), file.text, file.sizes, file.offset) for file in files]

    assert whole(read(patch, step=step)) == whole(read(patch))


def test_reading_goes_on_at_the_offset_of_a_file(patch: bytes) -> None:
    files = read(patch)
    third = files[2].offset
    rest = read(patch[third:], offset=third)
    assert [(file.offset, file.text) for file in rest] == [(file.offset, file.text) for file in files[2:]]


def test_large_file_is_counted_and_cut() -> None:
    head = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1,300000 @@\n"
    for lines in (b"+aaaaaaaaaa\n" * 300_000, b"+" + b"a" * 5_000_000 + b"\n"):
        large, small = read(head + lines + b"diff --git a/b b/b\nnew file mode 100644\n", step=65_536)
        assert large.additions == lines.count(b"+")
        assert large.is_truncated
        assert len(large.text or "") <= SHOWN_BYTES
        assert (small.status, small.is_truncated) == ("A", False)


def test_nothing_is_shown_behind_the_cut() -> None:
    """However the lines behind it are spread over chunks."""
    (file,) = read(
        b"diff --git a/a b/a\n@@ -1 +1 @@\n" + b"+%s\n" % (b"a" * 50_000) * 20 + b"+b\n" * 100_000,
        step=40_000,
    )
    assert file.is_truncated
    assert "b\n+b" not in (file.text or "")
    assert 200_000 < len(file.text or "") <= SHOWN_BYTES
    assert file.additions == 100_020


def test_patch_that_the_worker_has_cut_says_so() -> None:
    cut = b"diff --git a/a b/a\n@@ -1 +1,9 @@\n+a\n\n# The patch was cut here: it is longer than 9 bytes.\n"
    (file,) = read(cut)
    assert (file.is_truncated, file.additions) == (True, 1)
    assert "cut here" not in (file.text or "")


@given(st.lists(st.sampled_from(
    [b"diff --git ", b'"a/', b"a/x b/x", b"\\", b"\\777", b"\n", b"@@ -1 +1 @@", b"rename from ", b"rename to ", b"--- ",
     b"+++ ", b"new file mode", b"GIT binary patch", b"\0", b"\xff", b"\r", b"\t", b'"', b"+", b"-", b" "]
)).map(b"".join), st.integers(1, 50))  # fmt: skip
def test_anything_is_read_to_its_end(patch: bytes, step: int) -> None:
    files = read(patch, step=step)
    assert [shown(file) for file in read(patch)] == [shown(file) for file in files]
    assert len(files) <= patch.count(b"diff --git ")
    for file in files:
        assert patch[file.offset :].startswith(b"diff --git ")
