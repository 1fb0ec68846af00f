import itertools
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from app.agents.errors import PathRefused
from app.agents.files import safe_paths

# Where the agent sees the root.
SEEN = Path("/run/taskbeacon/work")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_text("s3cret")
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "folder/file.txt").write_text("content")
    (root / "inside").symlink_to("folder")
    (root / "absolute").symlink_to(root / "folder")
    (root / "parent").symlink_to("..")
    (root / "outside").symlink_to("../outside.txt")
    (root / "dangling").symlink_to("../new.txt")
    (root / "loop").symlink_to("loop")
    (root / "fixed").symlink_to(SEEN / "inside")
    (root / "twice").symlink_to(SEEN / "fixed")
    (root / "fixed loop").symlink_to(SEEN / "fixed pool")
    (root / "fixed pool").symlink_to(SEEN / "fixed loop")
    (root / "fixed outside").symlink_to(SEEN / "../outside.txt")
    return root


@pytest.mark.parametrize(
    "path",
    [
        "folder/file.txt",
        "./folder//file.txt",
        "folder/../folder/file.txt",
        "inside/file.txt",
        "absolute/file.txt",
    ],
)
def test_files_inside_are_read_also_through_links(root: Path, path: str) -> None:
    assert safe_paths.read_file(root, path, 100) == b"content"
    assert safe_paths.read_file(root, str(root / path), 100) == b"content"


@pytest.mark.parametrize(
    "path",
    ["fixed/file.txt", "twice/file.txt", "inside/../folder/file.txt", f"{SEEN}/folder/../inside/file.txt"],
)
def test_paths_as_the_agent_sees_them_are_inside(root: Path, path: str) -> None:
    assert safe_paths.read_file(root, path, 100, seen=SEEN) == b"content"
    assert safe_paths.read_file(root, str(SEEN / path), 100, seen=SEEN) == b"content"
    safe_paths.write_file(root, str(SEEN / path), b"new", seen=SEEN)
    assert (root / "folder/file.txt").read_text() == "new"


@pytest.mark.parametrize(
    "path", [".", "..", "../outside.txt", "../workshop/file", "outside", "fixed loop", "fixed outside"]
)
def test_paths_that_lead_out_of_what_the_agent_sees_are_refused(root: Path, path: str) -> None:
    for spelled in (path, str(SEEN / path)):
        with pytest.raises(PathRefused):
            safe_paths.read_file(root, spelled, 100, seen=SEEN)
        with pytest.raises(PathRefused):
            safe_paths.write_file(root, spelled, b"x", seen=SEEN)
    assert (root.parent / "outside.txt").read_text() == "s3cret"


def test_reading_ends_at_the_given_size(root: Path) -> None:
    assert safe_paths.read_file(root, "folder/file.txt", 3) == b"con"


OUTSIDE = [
    "../outside.txt",
    "outside",
    "parent/outside.txt",
    "folder/../../outside.txt",
    "/etc/passwd",
    "dangling",
    ".",
    "",
    "..",
    "a\0b",
    "x/" * 3000,
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_that_lead_out_are_refused(root: Path, path: str) -> None:
    with pytest.raises(PathRefused):
        safe_paths.read_file(root, path, 100)
    with pytest.raises(PathRefused):
        safe_paths.write_file(root, path, b"x")
    assert (root.parent / "outside.txt").read_text() == "s3cret"
    assert not (root.parent / "new.txt").exists()


@pytest.mark.parametrize("path", ["loop", "loop/x", "folder/file.txt/x"])
def test_paths_through_anything_but_a_folder_are_refused(root: Path, path: str) -> None:
    with pytest.raises(PathRefused):
        safe_paths.write_file(root, path, b"x")


def test_writing_makes_folders_and_replaces_content(root: Path) -> None:
    safe_paths.write_file(root, "a/b/c.txt", b"long content")
    safe_paths.write_file(root, "a/b/c.txt", b"short")

    assert (root / "a/b/c.txt").read_bytes() == b"short"


def test_pipes_and_folders_are_not_files(root: Path) -> None:
    os.mkfifo(root / "pipe")

    with pytest.raises(PathRefused):
        safe_paths.read_file(root, "pipe", 100)
    with pytest.raises(PathRefused):
        safe_paths.write_file(root, "pipe", b"x")
    with pytest.raises((PathRefused, IsADirectoryError)):
        safe_paths.read_file(root, "folder", 100)


def test_missing_file_is_not_found(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        safe_paths.read_file(root, "folder/nope", 100)


def test_folders_are_made_and_kept(root: Path) -> None:
    safe_paths.make_folder(root, "folder")
    safe_paths.make_folder(root, "x/y")

    assert (root / "folder/file.txt").exists()
    assert (root / "x/y").is_dir()
    with pytest.raises(PathRefused):
        safe_paths.make_folder(root, "folder/file.txt")
    with pytest.raises(PathRefused):
        safe_paths.make_folder(root, "parent/x")


def test_swapping_a_folder_for_a_link_never_leads_out(root: Path) -> None:
    """The race that resolving first and opening later would lose."""
    target = root.parent / "target"
    target.mkdir()
    done = threading.Event()
    numbers = itertools.count()

    def swap() -> None:
        while not done.is_set():
            with suppress(OSError):  # the writer makes the folder again when it finds none
                (root / "swap").rename(root / f"aside{next(numbers)}")
                (root / "swap").symlink_to(target)
            with suppress(OSError):
                (root / "swap").unlink()

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(2000):
            try:
                safe_paths.write_file(root, "swap/file", b"x")
            except (PathRefused, FileNotFoundError):
                continue
    finally:
        done.set()
        swapper.join()

    assert list(target.iterdir()) == []
