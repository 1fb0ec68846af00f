"""The Git LFS files of one run: their content into the agent's clone, and what the agent made of them to the host.

The clone has a filter of ours, which finds objects in `.git/lfs` and in what the mirror lends; the repository that
gathers the agent's work has it too, with a folder for new objects in which the agent could set no trap. What is in
either comes out of a sandbox: it is taken as hostile data, and only what the new commits point to.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from app.agents.base.safe_paths import open_file, read_file
from app.agents.errors import LargeFilesFailed, PathRefused, RepositoryError
from app.agents.git.command import Git, Remote
from app.agents.git.fetch import TRANSFER
from app.agents.git.plumbing import add_settings
from app.agents.lfs.batch import BatchApi
from app.agents.lfs.blobs import Entry, checked_out_pointers, committed_pointers
from app.agents.lfs.blocks import blocks_of, take_in
from app.agents.lfs.folder import FolderHost
from app.agents.lfs.hosts import ObjectHost, not_stored
from app.agents.lfs.objects import ObjectFolder, Pointer
from app.agents.sandbox.policy import SandboxPolicy
from app.processes.own_program import OWN_PROGRAM, module_command
from app.processes.reading import last_lines

__all__ = ["LargeFiles", "Transfer", "uses_lfs"]

GitSettings = tuple[tuple[str, str], ...]

_FILTER = "app.agents.lfs.filter"
_MOST_OBJECTS = 10_000
_MOST_TOLD = 20
_ATTRIBUTES_BYTES = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """By which connections objects are moved, and how much of them."""

    http: httpx.AsyncClient
    object_bytes: int
    disk_bytes: int  # of the run

    @classmethod
    def within(cls, policy: SandboxPolicy, http: httpx.AsyncClient) -> "Transfer":
        """Return what goes with the share of a run: a file at most as an agent could write it."""
        return cls(http=http, object_bytes=policy.file_bytes, disk_bytes=policy.disk_bytes)

    @property
    def stored_bytes(self) -> int:
        """How much a run may store: an agent's new files lie on its disk twice, as they are and as objects."""
        return self.disk_bytes // 2

    def fetched_bytes(self, *, lent: bool) -> int:
        """Return how much may be fetched: half of the disk; without a mirror's objects, each file lies there twice."""
        return self.disk_bytes // (2 if lent else 4)

    @staticmethod
    def reaches(remote: Remote) -> bool:
        """Tell whether it is known where the objects of a repository are; of one behind ssh it is not."""
        return urlsplit(remote.url).scheme in ("http", "https", "file")

    def host(self, remote: Remote) -> ObjectHost:
        """Return what holds the objects of a repository that is reached, by its URL alone.

        What the repository says of it (`.lfsconfig`) is whatever somebody committed, and nobody reads it.
        """
        if remote.is_http:
            return BatchApi(self.http, remote)
        return FolderHost(Path(unquote(urlsplit(remote.url).path)))


class LargeFiles:
    """Those of one run; all of it works on a clone that no agent has seen yet, or has finished with."""

    def __init__(
        self,
        transfer: Transfer,
        *,
        work: Path,
        collection: Path,
        scratch: Path,
        lent: Path | None,
        environment: Mapping[str, str],
    ) -> None:
        self._transfer = transfer
        self._work = work
        self._collection = collection
        self._own = ObjectFolder(work / ".git/lfs")
        self._gathered = ObjectFolder(collection / "lfs")
        self._scratch = ObjectFolder(scratch)
        self._lent = None if lent is None else ObjectFolder(lent, outlives_runs=True)
        self._environment = environment
        self._fetched_bytes = transfer.fetched_bytes(lent=lent is not None)
        self.sought = 0  # objects that the host was asked for, whether they came or not
        self.left_out: list[str] = []  # the first ones, each with the reason

    @property
    def settings(self) -> GitSettings:
        """What git needs in the repository that gathers the agent's work."""
        return _settings(self._gathered, self._own, self._lent)

    @property
    def readable(self) -> tuple[Path, ...]:
        """What git's filter needs to read in the sandbox, beside what is the run's."""
        return (*OWN_PROGRAM, *([self._lent.path] if self._lent else []))

    async def fetch(self, remote: Remote) -> None:
        """Have the files of a fresh clone as they are, not as pointers; what is more than a run may have is left out.

        Raises:
            LargeFilesFailed: one cannot be had.
            RepositoryError: the clone cannot be worked with.

        """
        if self._lent is not None:
            await asyncio.to_thread((self._lent.path / "objects").mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(self._set_up)
        git = Git(self._work, self._environment)
        entries = self._within_bounds(await checked_out_pointers(git))
        folder = self._lent or self._own
        paths = {entry.pointer: _shown(entry.path) for entry in entries}
        lacking = await asyncio.to_thread(folder.lacking, paths)
        self.sought = len(lacking)
        if lacking:
            async with _in_time("Fetching"):
                await self._transfer.host(remote).fetch(
                    {pointer: paths[pointer] for pointer in lacking}, folder
                )
        if entries:
            await self._check_out(git, entries)

    async def store(self, remote: Remote, git: Git, base: str | None, head: str) -> None:
        """Have the host hold what the new commits in a repository of ours point to.

        Raises:
            LargeFilesFailed: the host does not take one, or the agent has not left it.
            RepositoryError: there are more commits than can be looked through.

        """
        offered = await committed_pointers(git, base, head)
        if not offered:
            return
        if (
            len(offered) > _MOST_OBJECTS
            or sum(pointer.size for pointer in offered) > self._transfer.stored_bytes
        ):
            raise not_stored(
                next(iter(offered.values())),
                f"with all others it is more than {_MOST_OBJECTS} files or {_mib(self._transfer.stored_bytes)}, "
                "which is what a run may store",
            )

        @asynccontextmanager
        async def take(pointer: Pointer) -> AsyncIterator[Path]:
            content = await self._take(pointer, offered[pointer])
            try:
                yield content
            finally:
                content.unlink()

        async with _in_time("Storing"):
            await self._transfer.host(remote).store(offered, take)

    def _set_up(self) -> None:
        # In the clone's own configuration: there it wins over a git-lfs that the machine has.
        settings = [(key.rpartition(".")[2], value) for key, value in _settings(self._own, self._lent)]
        add_settings(self._work / ".git", ('filter "lfs"', settings))

    def _within_bounds(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the files that fit into a run's share, in their order."""
        kept: list[Entry] = []
        size = 0
        for entry in entries:
            of_this = entry.pointer.size
            if of_this > self._transfer.object_bytes:
                self._leave_out(entry, f"it is larger than {_mib(self._transfer.object_bytes)}")
            elif size + of_this > self._fetched_bytes:
                self._leave_out(entry, f"together they are larger than {_mib(self._fetched_bytes)}")
            elif len(kept) >= _MOST_OBJECTS:
                self._leave_out(entry, f"there are more than {_MOST_OBJECTS}")
            else:
                size += of_this
                kept.append(entry)
        return kept

    def _leave_out(self, entry: Entry, reason: str) -> None:
        if len(self.left_out) < _MOST_TOLD:
            self.left_out.append(f"{_shown(entry.path)}: {reason}")
        elif len(self.left_out) == _MOST_TOLD:
            self.left_out.append("others, which are not named")

    async def _check_out(self, git: Git, entries: Sequence[Entry]) -> None:
        """Write files anew, now that their content can be had; git forgets first that it has written them."""
        forgotten = b"".join(
            f"{entry.mode} {entry.blob} 0\t".encode() + entry.path + b"\0" for entry in entries
        )
        paths = b"".join(entry.path + b"\0" for entry in entries)
        for arguments, text in (
            (("update-index", "-z", "--index-info"), forgotten),
            (("checkout-index", "--force", "--index", "-z", "--stdin"), paths),
        ):
            result = await git.run(*arguments, timeout=TRANSFER, text=text)
            if result.code != 0:
                raise RepositoryError(
                    f"Files of Git LFS cannot be checked out: {last_lines(result.complaint)}"
                )

    async def _take(self, pointer: Pointer, path: str) -> Path:
        """Take an object out of what the sandbox has left. Raises LargeFilesFailed."""
        reason = "the agent has committed its pointer, but left no content for it"
        lent = [(self._lent.path, self._lent)] if self._lent else []
        # Below folders that are ours: what is in them may lead anywhere.
        for root, folder in ((self._collection, self._gathered), (self._work, self._own), *lent):
            place = str(folder.path.relative_to(root) / "objects" / pointer.place)
            try:
                with open_file(root, place) as source:
                    if await take_in(blocks_of(source), pointer, self._scratch):
                        return self._scratch.path / "objects" / pointer.place
                    reason = "what the agent has left of it is not what its pointer says"
            except FileNotFoundError:
                pass
            except (PathRefused, OSError) as error:
                reason = error.message if isinstance(error, PathRefused) else _reason(error)
        raise not_stored(path, reason.rstrip("."))


def _settings(own: ObjectFolder, *lent: ObjectFolder | None) -> GitSettings:
    folders = [str(folder.path) for folder in (own, *lent) if folder is not None]
    command = shlex.join([*module_command(_FILTER), *folders])
    return (("filter.lfs.process", command), ("filter.lfs.required", "true"))


def uses_lfs(work: Path) -> bool:
    """Tell whether a clone has files of Git LFS, as far as the attributes at its top say so."""
    try:
        return b"filter=lfs" in read_file(work, ".gitattributes", _ATTRIBUTES_BYTES)
    except (PathRefused, OSError):
        return False


@asynccontextmanager
async def _in_time(what: str) -> AsyncIterator[None]:
    seconds = int(TRANSFER.total_seconds())
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise LargeFilesFailed(f"{what} files of Git LFS took over {seconds} s.") from None


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _shown(path: bytes) -> str:
    return path.decode(errors="replace")


def _mib(size: int) -> str:
    return f"{size // 2**20} MiB"
