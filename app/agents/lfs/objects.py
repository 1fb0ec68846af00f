"""Pointers of Git LFS, and folders of the objects that they stand for, as every program that speaks it lays them out.

    <folder>/objects/aa/bb/<oid>    content, named by its SHA-256
    <folder>/tmp/                   what is not whole yet

The program behind git's filter imports this: it must stay quick to load.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["BLOCK", "LONGEST_POINTER", "Draft", "ObjectFolder", "Pointer"]

BLOCK = 2**20
LONGEST_POINTER = 200
# As it is written by all who write it. What else can be read as a pointer would be written anew by the filter, and
# show as a change that nobody made.
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,17})\n"
)


class Pointer(NamedTuple):
    """What is committed in place of a large file."""

    oid: str  # SHA-256 of the content
    size: int

    @classmethod
    def parse(cls, content: bytes) -> "Pointer | None":
        """Return the pointer that a file's content is; None if it is none."""
        match = _POINTER.fullmatch(content)
        return cls(match[1].decode(), int(match[2])) if match else None

    @property
    def place(self) -> str:
        """Where the object lies below `objects`."""
        return f"{self.oid[:2]}/{self.oid[2:4]}/{self.oid}"

    def text(self) -> bytes:
        """Return the file's content."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.oid}\nsize {self.size}\n".encode()
        )


class Draft:
    """Content that comes in, hashed as it does; without a folder it cannot be kept."""

    def __init__(
        self, file: BinaryIO, path: Path | None = None, folder: "ObjectFolder | None" = None
    ) -> None:
        self._path = path
        self._folder = folder
        self._hash = hashlib.sha256()
        self.file = file
        self.size = 0

    def write(self, block: bytes) -> None:
        """Add to the content."""
        self.file.write(block)
        self._hash.update(block)
        self.size += len(block)

    @property
    def pointer(self) -> Pointer:
        """What stands for the content so far."""
        return Pointer(self._hash.hexdigest(), self.size)

    def keep(self) -> None:
        """Put the content where its pointer leads, whole or not at all."""
        if self._path is None or self._folder is None:
            return
        self.file.flush()
        if self._folder.outlives_runs:
            os.fsync(self.file.fileno())
        place = self._folder.path / "objects" / self.pointer.place
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._path.rename(place)
        except FileNotFoundError:
            # Who else had it first has cleared away what others had begun.
            if not place.exists():
                raise
        for leftover in self._path.parent.glob(f"{self.pointer.oid}-*"):
            leftover.unlink(missing_ok=True)


class ObjectFolder:
    """A folder of objects that many may add to at a time; one that outlives runs outlives a machine's failure too."""

    def __init__(self, path: Path, *, outlives_runs: bool = False) -> None:
        self.path = path
        self.outlives_runs = outlives_runs

    def find(self, pointer: Pointer) -> Path | None:
        """Return the file of an object if it is here in its full size."""
        path = self.path / "objects" / pointer.place
        try:
            status = path.stat(follow_symlinks=False)
        except OSError:
            return None
        return path if stat.S_ISREG(status.st_mode) and status.st_size == pointer.size else None

    def lacking(self, pointers: Iterable[Pointer]) -> list[Pointer]:
        """Return those whose objects are not here; looks at a file for each."""
        return [pointer for pointer in pointers if self.find(pointer) is None]

    @contextmanager
    def draft(self, name: str = "new") -> Iterator[Draft]:
        """Yield a draft that is gone afterwards unless it was kept; `name` is the object's where that is known.

        Raises OSError.
        """
        folder = self.path / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{os.urandom(8).hex()}"
        try:
            with path.open("x+b") as file:
                yield Draft(file, path, self)
        finally:
            path.unlink(missing_ok=True)
