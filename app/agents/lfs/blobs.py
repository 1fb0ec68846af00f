"""Finds pointers of Git LFS in repositories that no agent can write to: as data, git applies no filter here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO

from app.agents.errors import RepositoryError
from app.agents.git.command import Git, Result
from app.agents.lfs.objects import LONGEST_POINTER, Pointer

__all__ = ["Entry", "checked_out_pointers", "committed_pointers"]

_LOCAL = timedelta(minutes=5)
_LIST_BYTES = 64 * 2**20
_FILES = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the index that is a pointer."""

    mode: str
    blob: str
    path: bytes
    pointer: Pointer


async def checked_out_pointers(git: Git) -> list[Entry]:
    """Return the files of a fresh clone that Git LFS keeps: by their attributes, and by what they hold."""
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


async def committed_pointers(git: Git, base: str | None, head: str) -> Mapping[Pointer, str]:
    """Return the pointers that the commits since `base` bring, each with a path that had it.

    In whatever file: a commit in between may have had other attributes than the last one.
    """
    listed = await git.run(
        *("rev-list", "--objects", f"--filter=blob:limit={LONGEST_POINTER + 1}", "--missing=allow-any", head),
        *((f"^{base}",) if base else ()),
        timeout=_LOCAL,
        limit=_LIST_BYTES,
    )
    paths: dict[str, str] = {}
    # By git's own line ends alone: whatever else counts as one may stand in a path.
    for line in _output(listed, "rev-list").decode(errors="replace").split("\n"):
        blob, is_named, path = line.partition(" ")
        # Commits have none. A name ends at its first line break, which may be all there is of it.
        if is_named:
            paths.setdefault(blob, path)
    return {pointer: paths[blob] for blob, pointer in (await _pointers(git, paths)).items()}


async def _pointers(git: Git, blobs: Iterable[str]) -> dict[str, Pointer]:
    """Return which of some objects are pointers; those that are missing on purpose, in a partial clone, are not."""
    asked = "".join(f"{blob}\n" for blob in blobs)
    if not asked:
        return {}
    sizes = await git.run("cat-file", "--batch-check", timeout=_LOCAL, limit=_LIST_BYTES, text=asked.encode())
    small = []
    for line in _output(sizes, "cat-file").decode().splitlines():
        blob, *rest = line.split(" ")
        if len(rest) == 2 and rest[0] == "blob" and int(rest[1]) <= LONGEST_POINTER:  # noqa: PLR2004
            small.append(blob)
    if not small:
        return {}
    contents = await git.run(
        *("cat-file", "--batch"),
        timeout=_LOCAL,
        limit=_LIST_BYTES,
        text="".join(f"{blob}\n" for blob in small).encode(),
    )
    found, stream = {}, BytesIO(_output(contents, "cat-file"))
    while head := stream.readline():
        blob, _, size = head.decode().split(" ")
        content = stream.read(int(size))
        stream.readline()
        if (pointer := Pointer.parse(content)) is not None:
            found[blob] = pointer
    return found


def _output(result: Result, command: str) -> bytes:
    if result.code != 0 or result.truncated:
        raise RepositoryError(
            f"Files of Git LFS cannot be looked for (git {command}): are there too many files?"
        )
    return result.output
