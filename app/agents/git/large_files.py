"""Moves files of Git LFS by the program git-lfs: fetches them before the agent starts, stores new ones.

git-lfs connects to a host only from a repository of the worker's own, which holds nothing but a list of
pointers. So it reads no `.lfsconfig` and runs no hook, extension or transfer program; it uses the host of the
clone URL. The credential is lent as to any other git command. A public host cannot send git-lfs into a
private network, except to this machine's own loopback, for which git-lfs uses no proxy. In the agent's clone
git-lfs is the filter, inside the sandbox.

Objects are always copied into the agent's clone. git-lfs would use hard links, through which an agent could
change the objects of a mirror or of a repository on this machine.
"""

import asyncio
import hashlib
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.agents.errors import LargeFilesFailed, PathRefused, RepositoryError, RepositoryUnreachable
from app.agents.files.safe_paths import open_file, read_file
from app.agents.git.command import Git, Remote, Result
from app.agents.git.fetch import TRANSFER
from app.agents.git.lfs_network import limit_lfs_network
from app.agents.git.plumbing import add_settings, make_repository
from app.agents.git.pointers import Entry, Pointer, checked_out_pointers, committed_pointers
from app.agents.sandbox.policy import SandboxPolicy
from app.processes.reading import last_lines

GitSettings = tuple[tuple[str, str], ...]

_BLOCK = 2**20
_MOST_OBJECTS = 10_000
_MOST_NAMED = 20
_LONGEST_PATH = 200
_ATTRIBUTES_BYTES = 2**16
_REF = "refs/heads/pointers"
_TRANSFER_SETTINGS = (
    "lfs.locksVerify=false",
    "lfs.basicTransfersOnly=true",
    "lfs.concurrentTransfers=4",
    "lfs.transfer.maxRetries=1",
)
# Git's configuration precedes a repository's `.lfsconfig`.
_CLONE_SETTINGS = (
    ("skipDownloadErrors", "true"),  # a file without its content stays a pointer
    ("fetchInclude", ""),
    ("fetchExclude", ""),
    ("locksVerify", "false"),
)
_PROGRESS = ("hint: ", "fetch: ", "Uploading LFS objects", "Downloading LFS objects", "error: failed to ")


@dataclass(frozen=True, slots=True)
class LargeFileLimits:
    """The limits of a run for Git LFS files, in bytes.

    No file may be larger than `object_bytes`. All files that the run downloads may together take `fetched_bytes`, and
    all new files that it uploads `stored_bytes`.
    """

    object_bytes: int
    disk_bytes: int  # of the whole run

    @classmethod
    def of(cls, policy: SandboxPolicy) -> "LargeFileLimits":
        """Return the Git LFS limits that follow from the limits of a sandbox policy on file size and disk space.

        `object_bytes` is the policy's maximum size of one file. The run may download a quarter of its disk space in
        total, and upload half of it.
        """
        return cls(policy.file_bytes, policy.disk_bytes)

    @property
    def fetched_bytes(self) -> int:
        """The maximum total of bytes to download: a quarter of the disk space of the run.

        The clone contains each file twice, checked out and in its folder of Git LFS, so these files take at most half
        of the space. The agent has the other half.
        """
        return self.disk_bytes // 4

    @property
    def stored_bytes(self) -> int:
        """The maximum total of bytes of new files to upload: half of the disk space of the run.

        Each file takes its size twice there: the agent's file, and git's copy of it in a folder of Git LFS.
        """
        return self.disk_bytes // 2


def find_git_lfs(environment: Mapping[str, str]) -> str | None:
    """Return the path of the program git-lfs, found on the PATH of `environment`; None if it is not there."""
    return shutil.which("git-lfs", path=environment.get("PATH"))


def uses_lfs(work: Path) -> bool:
    """Return whether the `.gitattributes` at the top of the clone `work` assigns files to Git LFS."""
    try:
        return b"filter=lfs" in read_file(work, ".gitattributes", _ATTRIBUTES_BYTES)
    except (PathRefused, OSError):
        return False


class LargeFiles:
    """Downloads the Git LFS files of a run before its agent starts, and uploads those of the agent's new commits.

    Git LFS commits a small pointer in place of each large file; the content is stored at the code host.

    Args:
        limits: the limits of the run.
        program: the path of git-lfs.
        work: the agent's clone.
        collection: the scratch repository in which the agent's work is gathered.
        scratch: a folder for the repository that transfers files; it is emptied before each use.
        mirror: the folder of the mirror's Git LFS files, which later runs share; None without a mirror.
        environment: the worker's environment variables.

    """

    def __init__(
        self,
        limits: LargeFileLimits,
        program: str,
        *,
        work: Path,
        collection: Path,
        scratch: Path,
        mirror: Path | None,
        environment: Mapping[str, str],
    ) -> None:
        self._limits = limits
        self._program = program
        self._work = work
        self._collection = collection
        self._scratch = scratch
        self._mirror = mirror  # caches objects for later runs
        self._environment = environment
        self.requested = 0  # objects that had to be fetched
        self.left_out: list[str] = []  # the first files that stayed pointers, each with the reason

    @staticmethod
    def can_reach(remote: Remote) -> bool:
        """Return whether the Git LFS files of a remote repository can be downloaded: its URL is http, https or file.

        For an ssh URL, the server of the Git LFS files is not known.
        """
        return urlsplit(remote.url).scheme in ("http", "https", "file")

    @property
    def settings(self) -> GitSettings:
        """The git settings for the sandbox, as pairs of key and value: they make git store large files as pointers."""
        return tuple((f"filter.lfs.{key}", value) for key, value in self._filter)

    @property
    def readable(self) -> tuple[Path, ...]:
        """The paths outside of the run's folder that git-lfs must be able to read in the sandbox."""
        return (Path(self._program),)

    @property
    def _filter(self) -> GitSettings:
        return (("process", shlex.join((self._program, "filter-process"))), ("required", "true"))

    async def fetch(self, remote: Remote) -> None:
        """Replace the Git LFS pointers in a fresh clone with the content of the files, downloaded or from a mirror.

        Files beyond the limits stay pointers; `left_out` lists them with the reasons. Call it before the agent
        starts.

        Raises:
            LargeFilesFailed: the code host did not send the content of a file.
            RepositoryError: git failed on the clone.

        """
        add_settings(self._work / ".git", ('filter "lfs"', self._filter), ("lfs", _CLONE_SETTINGS))
        git = Git(self._work, self._environment)
        entries = self._within_limits(await checked_out_pointers(git))
        if not entries:
            return
        paths = {entry.pointer: _decode(entry.path) for entry in entries}
        source = self._mirror or self._scratch / "lfs"
        missing = await asyncio.to_thread(_find_missing, source, paths)
        self.requested = len(missing)
        if missing:
            await self._renew_scratch(storage=source)
            result = await self._transfer("fetch", remote, missing)
            if result.code != 0:
                path, reason = _explain(result, remote, {pointer: paths[pointer] for pointer in missing})
                raise LargeFilesFailed(
                    f"The content of the file '{path}' (Git LFS) cannot be fetched: {reason}."
                )
        await asyncio.to_thread(_copy_all, source, self._work / ".git/lfs", paths)
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)
        await _check_out(git, entries)

    async def store(self, remote: Remote, git: Git, base: str | None, head: str) -> None:
        """Upload the Git LFS files of new commits to the code host. Call it before the commits are pushed.

        Args:
            remote: the remote repository.
            git: runs in the worker's own repository, which has the commits.
            base: the last commit that is not new; None if all commits are new.
            head: the last new commit.

        Raises:
            LargeFilesFailed: the host refuses a file, its content is missing in the workspace, or the files are too
                many or too large.
            RepositoryError: git failed, or there are too many commits to examine.

        """
        offered = await committed_pointers(git, base, head)
        if not offered:
            return
        if len(offered) > _MOST_OBJECTS or sum(each.size for each in offered) > self._limits.stored_bytes:
            raise _not_stored(
                next(iter(offered.values())),
                f"with all others it is more than {_MOST_OBJECTS} files or {_mib(self._limits.stored_bytes)}, "
                "which is what a run may store",
            )
        await self._renew_scratch(storage=self._scratch / "lfs")
        # A missing object is not always an error: the host may have it already, which git-lfs checks.
        missing = {}
        for pointer in offered:
            if reason := await asyncio.to_thread(self._take, pointer):
                missing[pointer.oid] = reason
        result = await self._transfer("push", remote, offered)
        if result.code != 0:
            said = _output_of(result)
            lost = [each for each in offered if each.oid in missing and f"(missing) {each.oid}" in said]
            if lost:
                raise _not_stored(offered[lost[0]], missing[lost[0].oid])
            raise _not_stored(*_explain(result, remote, offered))

    def _within_limits(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the Git LFS files that fit into the run's limits, in their order."""
        kept: list[Entry] = []
        size = 0
        for entry in entries:
            of_this = entry.pointer.size
            if of_this > self._limits.object_bytes:
                self._leave_out(entry, f"it is larger than {_mib(self._limits.object_bytes)}")
            elif size + of_this > self._limits.fetched_bytes:
                self._leave_out(entry, f"together they are larger than {_mib(self._limits.fetched_bytes)}")
            elif len(kept) >= _MOST_OBJECTS:
                self._leave_out(entry, f"there are more than {_MOST_OBJECTS}")
            else:
                size += of_this
                kept.append(entry)
        return kept

    def _leave_out(self, entry: Entry, reason: str) -> None:
        if len(self.left_out) < _MOST_NAMED:
            self.left_out.append(f"{_decode(entry.path)}: {reason}")
        elif len(self.left_out) == _MOST_NAMED:
            self.left_out.append("others, which are not named")

    async def _renew_scratch(self, *, storage: Path) -> None:
        def renew() -> None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            make_repository(self._scratch)
            # Not on the command line: git-lfs would also use that setting for a remote on this machine.
            add_settings(self._scratch, ("lfs", (("storage", str(storage)),)))

        await asyncio.to_thread(renew)

    async def _transfer(self, command: str, remote: Remote, pointers: Iterable[Pointer]) -> Result:
        """Run `git lfs fetch` or `git lfs push` for some objects.

        Raises LargeFilesFailed after the time limit.
        """
        git = Git(self._scratch, self._environment)
        listed = await git.run("fast-import", "--quiet", timeout=TRANSFER, text=_as_commit(pointers))
        if listed.code != 0:
            raise RepositoryError(f"Files of Git LFS cannot be listed: {last_lines(listed.errors)}")
        base = remote.url.rstrip("/").removesuffix(".git")
        url = f"{base}.git/info/lfs" if remote.is_http else remote.url
        settings = [f"remote.origin.url={remote.url}", f"lfs.url={url}", *_TRANSFER_SETTINGS]
        if remote.credential is not None:
            settings.append(f"lfs.{url}.access=basic")
        try:
            async with limit_lfs_network(remote, self._environment) as proxy:
                options = [part for setting in (*settings, *proxy) for part in ("-c", setting)]
                return await git.run(
                    *(*options, "lfs", command, "origin", _REF),
                    timeout=TRANSFER,
                    remote=remote,
                    file_bytes=self._limits.object_bytes,
                )
        except RepositoryUnreachable:
            seconds = int(TRANSFER.total_seconds())
            raise LargeFilesFailed(f"git lfs {command} took over {seconds} s.") from None

    def _take(self, pointer: Pointer) -> str:
        """Copy an object out of the sandbox into the scratch repository; return "" or why that failed."""
        reason = "the agent has committed its pointer, but left no content for it"
        target = self._scratch / "lfs" / pointer.object_path
        target.parent.mkdir(parents=True, exist_ok=True)
        for root, folder in ((self._collection, "lfs"), (self._work, ".git/lfs")):
            try:
                with open_file(root, f"{folder}/{pointer.object_path}") as source, target.open("wb") as sink:
                    digest, rest = hashlib.sha256(), pointer.size + 1
                    while block := source.read(min(_BLOCK, rest)):
                        rest -= len(block)
                        digest.update(block)
                        sink.write(block)
                if rest == 1 and digest.hexdigest() == pointer.oid:
                    return ""
                reason = "what the agent has left of it is not what its pointer says"
            except FileNotFoundError:
                pass
            except PathRefused as error:
                reason = error.message.rstrip(".")
            except OSError as error:
                reason = error.strerror or type(error).__name__
        target.unlink(missing_ok=True)
        return reason


async def _check_out(git: Git, entries: Sequence[Entry]) -> None:
    """Write files to the work tree again, now with their content, after git's index has dropped pointers."""
    forgotten = b"".join(f"{entry.mode} {entry.blob} 0\t".encode() + entry.path + b"\0" for entry in entries)
    paths = b"".join(entry.path + b"\0" for entry in entries)
    for arguments, text in (
        (("update-index", "-z", "--index-info"), forgotten),
        (("checkout-index", "--force", "--index", "-z", "--stdin"), paths),
    ):
        result = await git.run(*arguments, timeout=TRANSFER, text=text)
        if result.code != 0:
            raise RepositoryError(f"Files of Git LFS cannot be checked out: {last_lines(result.errors)}")


def _as_commit(pointers: Iterable[Pointer]) -> bytes:
    """Return the input for `git fast-import` that makes a commit of pointers, each named by its object."""
    parts = [f"commit {_REF}\ncommitter Taskbeacon <> 0 +0000\ndata 0\n".encode()]
    for pointer in pointers:
        text = pointer.text()
        parts.append(f"M 100644 inline {pointer.oid}\ndata {len(text)}\n".encode() + text)
    return b"".join(parts)


def _find_missing(folder: Path, pointers: Iterable[Pointer]) -> list[Pointer]:
    def is_here(pointer: Pointer) -> bool:
        path = folder / pointer.object_path
        return path.is_file() and path.stat().st_size == pointer.size

    return [pointer for pointer in pointers if not is_here(pointer)]


def _copy_all(source: Path, target: Path, pointers: Iterable[Pointer]) -> None:
    for pointer in pointers:
        (target / pointer.object_path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / pointer.object_path, target / pointer.object_path)


def _explain(result: Result, remote: Remote, paths: Mapping[Pointer, str]) -> tuple[str, str]:
    """Return the path of a file that git-lfs reports an error about, and the error."""
    said = remote.redact(_output_of(result))
    path = next((path for pointer, path in paths.items() if pointer.oid in said), next(iter(paths.values())))
    lines = [line for line in said.splitlines() if not line.startswith(_PROGRESS)]
    return path[:_LONGEST_PATH], last_lines("\n".join(lines), limit=500).rstrip(". ")


def _output_of(result: Result) -> str:
    return f"{result.text()}\n{result.errors}"


def _not_stored(path: str, reason: str) -> LargeFilesFailed:
    return LargeFilesFailed(
        f"The content of the file '{path[:_LONGEST_PATH]}' (Git LFS) cannot be stored at its host: {reason}. "
        "Nothing was pushed."
    )


def _decode(path: bytes) -> str:
    return path.decode(errors="replace")


def _mib(size: int) -> str:
    return f"{size // 2**20} MiB"
