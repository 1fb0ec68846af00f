"""Finds the pointers of Git LFS in repositories that no agent can write to.

Git reads them as data: no filter applies.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import NamedTuple

from app.agents.errors import RepositoryError
from app.agents.git.command import Git, Result

_LOCAL = timedelta(minutes=5)
_LIST_BYTES = 64 * 2**20
_FILES = ("100644", "100755")
_LONGEST_POINTER = 200
# Only the canonical form: git-lfs would rewrite any other form, and the rewriting would appear as a change.
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,17})\n"
)


class Pointer(NamedTuple):
    """The small file that git stores in place of a Git LFS file: the SHA-256 and size in bytes of its content."""

    oid: str  # SHA-256 of the content
    size: int

    @classmethod
    def parse(cls, content: bytes) -> "Pointer | None":
        """Parse the content of a file as a Git LFS pointer. Return None if the content is not a pointer."""
        match = _POINTER.fullmatch(content)
        return cls(match[1].decode(), int(match[2])) if match else None

    @property
    def object_path(self) -> str:
        """The path of the file's content, relative to the folder of Git LFS in a repository."""
        return f"objects/{self.oid[:2]}/{self.oid[2:4]}/{self.oid}"

    def text(self) -> bytes:
        """Return the Git LFS pointer as the content of the file that git stores, in the canonical form."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.oid}\nsize {self.size}\n".encode()
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in git's index that is a Git LFS pointer. `blob` is the hash of its git object."""

    mode: str
    blob: str
    path: bytes
    pointer: Pointer


async def checked_out_pointers(git: Git) -> list[Entry]:
    """Return the files of a fresh clone that are pointers by `.gitattributes` and content. Raises RepositoryError."""
    listed = await git.run(
        "ls-files", "-z", "--stage", "--", ":(top,attr:filter=lfs)", timeout=_LOCAL, limit=_LIST_BYTES
    )
    files = []
    for entry in _output(listed, "ls-files").split(b"\0")[:-1]:
        what, _, path = entry.partition(b"\t")
        mode, blob, _ = what.decode().split(" ")
        if mode in _FILES:
            files.append((mode, blob, path))
    pointers = await _pointers(git, {blob for _, blob, _ in files})
    return [Entry(mode, blob, path, pointers[blob]) for mode, blob, path in files if blob in pointers]


async def committed_pointers(git: Git, base: str | None, head: str) -> dict[Pointer, str]:
    """Return the pointers that the commits after `base` add, each with a path. Raises RepositoryError."""
    listed = await git.run(
        *(
            "rev-list",
            "--objects",
            f"--filter=blob:limit={_LONGEST_POINTER + 1}",
            "--missing=allow-any",
            head,
        ),
        *((f"^{base}",) if base else ()),
        timeout=_LOCAL,
        limit=_LIST_BYTES,
    )
    paths: dict[str, str] = {}
    # Split at \n only: a path may contain every other line separator.
    for line in _output(listed, "rev-list").decode(errors="replace").split("\n"):
        blob, is_named, path = line.partition(" ")
        # Commits have no name here. Git cuts a name at its first line break, so a name may be empty.
        if is_named:
            paths.setdefault(blob, path)
    return {pointer: paths[blob] for blob, pointer in (await _pointers(git, paths)).items()}


async def _pointers(git: Git, blobs: Iterable[str]) -> Mapping[str, Pointer]:
    sizes = await _cat(git, "--batch-check", blobs)
    small = []
    for line in sizes.decode().splitlines():
        blob, *rest = line.split(" ")
        if len(rest) == 2 and rest[0] == "blob" and int(rest[1]) <= _LONGEST_POINTER:  # noqa: PLR2004 - type and size
            small.append(blob)
    found, stream = {}, BytesIO(await _cat(git, "--batch", small))
    while head := stream.readline():
        blob, _, size = head.decode().split(" ")
        content = stream.read(int(size))
        stream.readline()
        if (pointer := Pointer.parse(content)) is not None:
            found[blob] = pointer
    return found


async def _cat(git: Git, how: str, blobs: Iterable[str]) -> bytes:
    text = "".join(f"{blob}\n" for blob in blobs).encode()
    if not text:
        return b""
    return _output(await git.run("cat-file", how, timeout=_LOCAL, limit=_LIST_BYTES, text=text), "cat-file")


def _output(result: Result, command: str) -> bytes:
    if result.code != 0 or result.truncated:
        raise RepositoryError(
            f"Files of Git LFS cannot be looked for (git {command}): are there too many files?"
        )
    return result.output
