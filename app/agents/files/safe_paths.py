"""Opens files in an untrusted folder without following links out of it.

Paths are resolved by name, then walked with descriptors that refuse links, so that a swap in between is an error and
never an escape. Nothing here waits on a FIFO or reads without a bound. `seen` is where the programs that fill a folder
see it, if elsewhere: paths and links to there lead into the folder.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import ELOOP, ENOTDIR, ENXIO
from pathlib import Path
from typing import BinaryIO

from app.agents.errors import PathRefused

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST_PATH = 4096
# How many links may lead to the path at which the sandbox shows the folder; the kernel has the same limit.
_MOST_TURNS = 40
# Errors of opening a path that has become a link, or no file, after it was resolved.
_SURPRISES = (ELOOP, ENOTDIR, ENXIO)


def read_file(root: Path, path: str, limit: int, *, seen: Path | None = None) -> bytes:
    """Return the first `limit` bytes of a regular file in the untrusted `root`. Raises PathRefused, OSError."""
    with open_file(root, path, seen=seen) as file:
        return file.read(limit)


@contextmanager
def open_file(root: Path, path: str, *, seen: Path | None = None) -> Iterator[BinaryIO]:
    """Yield a regular file in the untrusted `root`, open for reading. Raises PathRefused, OSError."""
    *folders, name = _steps(root, path, seen)
    with open_folder(root, folders, path) as folder:
        descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=folder)
        try:
            _require_regular(descriptor, path)
            file = os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
        with file:
            yield file


def write_file(root: Path, path: str, content: bytes, *, seen: Path | None = None) -> None:
    """Create or replace a file in the untrusted `root`, with its parents. Raises PathRefused, OSError."""
    *folders, name = _steps(root, path, seen)
    with open_folder(root, folders, path, create=True) as folder:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | _FILE, 0o666, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as file:
            _require_regular(descriptor, path)
            file.truncate(0)
            file.write(content)


def make_folder(root: Path, path: str) -> None:
    """Create a folder in the untrusted `root`, with its parents, if it is not there. Raises PathRefused, OSError."""
    with open_folder(root, _steps(root, path), path, create=True):
        pass


@contextmanager
def open_folder(root: Path, steps: Sequence[str], path: str, *, create: bool = False) -> Iterator[int]:
    """Yield the descriptor of a folder below `root`; `path` names it in errors. Raises PathRefused, OSError."""
    current = os.open(root.resolve(), _FOLDER)
    try:
        for step in steps:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(step, dir_fd=current)
            following = os.open(step, _FOLDER, dir_fd=current)
            os.close(current)
            current = following
        yield current
    except OSError as error:
        if error.errno in _SURPRISES:
            raise PathRefused(f"The path '{path}' runs through something that is not a folder.") from None
        raise
    finally:
        os.close(current)


def _steps(root: Path, path: str, seen: Path | None = None) -> tuple[str, ...]:
    if not path or "\0" in path or len(path) > _LONGEST_PATH:
        raise PathRefused("A path must have 1 to 4096 characters, none of them NUL.")
    base = root.resolve()
    target = base / path
    seen = seen or base
    for _ in range(_MOST_TURNS):
        if target.is_relative_to(seen):
            target = base / target.relative_to(seen)
        try:
            target = target.resolve()
        except RuntimeError:  # how pathlib reports a loop of links before Python 3.13
            break
        if base in target.parents:
            return target.relative_to(base).parts
        if target == base or not target.is_relative_to(seen):
            raise PathRefused(f"The path '{path}' leads out of the workspace.")
    raise PathRefused(f"The path '{path}' runs through a loop of links.")


def _require_regular(descriptor: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise PathRefused(f"The path '{path}' is not a regular file.")
