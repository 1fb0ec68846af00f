"""The workspace of a run: its folders, from the clone for the agent to the collected work.

<root>/<run>/repository     the worker's repository (app/agents/git/run_repository.py); the agent never sees it
<root>/<run>/work           the agent's clone, with `.taskbeacon/` for files that are never committed
<root>/<run>/home, tmp      the agent's home and temporary folder
<root>/<run>/collection     scratch repository of `collect`
<root>/<run>/index           git's index of the clone as it was checked out
<root>/<run>/compared-<x>    scratch repository of `compare`
<root>/<run>/result.bundle  the agent's commits, on their way from the collection into the worker's repository
"""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from uuid import UUID

import structlog

from app.agents.agent_folders import AgentFolders
from app.agents.errors import BranchNotFound, RepositoryError, WorkspaceBroken
from app.agents.files.attachments import OWN_FOLDER
from app.agents.files.safe_paths import make_folder, write_file
from app.agents.git.fetch import CloneBase, Source
from app.agents.git.mirrors import Mirrors, MirrorUnusable
from app.agents.git.patches import summarise
from app.agents.git.run_repository import EXCLUDED, Author, Changes, Repository
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.sandbox.confinement import Sandbox, Streams, confined_environment
from app.agents.sandbox.monitor import ResourceMonitor
from app.agents.sandbox.policy import Confinement
from app.agents.workspace.folders import FolderRemover, open_folder, remove
from app.agents.workspace.live_patch import Comparison, compare
from app.agents.workspace.work_bundle import GATHER, RESULT, gather
from app.coroutines.shielded import shielded
from app.processes.spawning import Ended

log = structlog.get_logger(__name__)
# Characters that are special in the patterns of a file of ignored names.
_SPECIAL = re.compile(r"[\\*?\[\]!# ]")
_ESCAPED = r"\\\g<0>"
# The kept output of a program in the clone. The cases of a check's reports take less.
_OUTPUT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Collected:
    """The work of an agent: the last commit, None if nothing changed, and the changed files with the patch."""

    head: str | None
    changes: Changes
    left_out: str = ""  # the parts that could not be collected, or are not in the patch
    whole: Changes | None = None  # all changes of the branch since the first run on it


class Workspace:
    """The folders of one run, from the agent's clone to the collected work, and the git operations on them."""

    def __init__(self, folder: Path, made_by: "Workspaces") -> None:
        self.folder = folder
        self.places = AgentFolders(folder)
        self.work, self.home = self.places.work, self.places.home
        self.base = CloneBase()
        self.began: str | None = None
        self.first: str | None = None
        self.author = Author()
        self.environment = made_by.environment
        self._hidden = tuple(made_by.hidden)
        self._comparing_memory = made_by.comparing_memory
        self.repository = self._make_repository()
        self.monitor = ResourceMonitor(folder)
        self._collection = folder / "collection"
        self._index = folder / "index"
        self._comparing = asyncio.Lock()
        self._compared: Path | None = None
        self._excluded = EXCLUDED
        self._branch = ""
        self._source: Source | None = None
        self._mirrors = made_by.mirrors

    async def prepare(
        self,
        source: Source | None,
        push_branch: str,
        *,
        author: Author,
        began: str | None = None,
        first: str | None = None,
    ) -> None:
        """Clone the repository, or make an empty one, in `work` on the branch `push_branch`. Raises RepositoryError.

        `began`: the commit since which `collect` returns changes, empty for an empty tree; None: that of the clone.
        `first`: the commit from which the first run on the branch began; None: there was none before.
        """
        self.author, self._branch, self._source = author, push_branch, source
        self.repository.create()
        if source is not None:
            self.base = await self.repository.look_up(source, push_branch)
        if not (source and self.base.sha and await self._borrow(source, push_branch)):
            if source is not None:
                self.base = await self.repository.fetch(source, self.base)
            await self.repository.check_out(self.work, self.base, push_branch, source, author)
        self.began = self.base.sha if began is None else began or None
        if source is not None and began:
            try:
                await self.repository.fetch_commit(source.remote, began)
            except RepositoryError:
                # The code host has deleted the commit. The changes since the clone's commit are shown instead.
                self.began = self.base.sha
        if source is not None and first:
            with suppress(RepositoryError):
                await self.repository.fetch_commit(source.remote, first)
                self.first = first
        with suppress(FileNotFoundError):
            # Copied before an agent can write it, with its time, which git compares with the times of the files.
            shutil.copy2(self.work / ".git/index", self._index)
        for name in ("attachments", "artifacts"):
            make_folder(self.work, f"{OWN_FOLDER}/{name}")

    def exclude(self, paths: Sequence[str]) -> None:
        """Leave these files of the clone out of the agent's work, and out of what its git shows as new."""
        lines = "".join(f"/{_SPECIAL.sub(_ESCAPED, path)}\n" for path in paths if "\n" not in path)
        self._excluded = EXCLUDED + lines.encode(errors="surrogateescape")
        write_file(self.work, ".git/info/exclude", self._excluded)
        self._compared = None

    async def renew(self, commit: str) -> None:
        """Replace clone, home and temporary folder by new ones, when no process of the run is left."""
        assert self._source is not None
        for folder in (self.work, self.home, self.places.temporary):
            await remove(folder)
        for folder in (self.home, self.places.temporary):
            folder.mkdir(mode=0o700)
        base = replace(self.base, start=self.base.start or "checked", sha=commit)
        await self.repository.check_out(self.work, base, self._branch, self._source, self.author)

    async def _borrow(self, source: Source, push_branch: str) -> bool:
        mirrors = self._mirrors
        if mirrors is None:
            return False
        try:
            borrowed = await mirrors.lend(source, self.base)
        except MirrorUnusable:
            return False
        try:
            base = await self.repository.borrow(borrowed, source, self.base)
            await self.repository.check_out(self.work, base, push_branch, source, self.author)
        except RepositoryError as error:
            log.warning("mirror.damaged", reason=error.message)
            self.repository.borrowed = None
            await mirrors.discard(borrowed)
            for folder in (self.work, self.repository.folder):
                await remove(folder)
            self.repository = self._make_repository()
            self.repository.create()
            return False
        self.base = base
        return True

    def _make_repository(self) -> Repository:
        return Repository(self.folder / "repository", self.environment, self._comparing_memory)

    async def close(self) -> None:
        """Unlock the mirror of the run's repositories, which cannot be read after this. Can be called again."""
        borrowed, self.repository.borrowed = self.repository.borrowed, None
        if self._mirrors is not None and borrowed is not None:
            await self._mirrors.give_back(borrowed)

    def confinement(
        self, *, readable: tuple[Path, ...] = (), writable: tuple[Path, ...] = (), read_only: bool = False
    ) -> Confinement:
        """Return the folders of a process of this run; if `read_only`, the clone is, but for artifacts and output."""
        borrowed = self.repository.borrowed
        return Confinement(
            places=self.places,
            work_writable=not read_only,
            readable=(*readable, *((borrowed.objects,) if borrowed else ())),
            writable=(*writable, self.work / OWN_FOLDER) if read_only else writable,
            hidden=self._hidden,
        )

    async def execute(
        self,
        sandbox: Sandbox,
        command: Sequence[str],
        variables: Mapping[str, str],
        *,
        text: bytes = b"",
        seconds: float | None = None,
        readable: tuple[Path, ...] = (),
        writable: tuple[Path, ...] = (),
    ) -> Ended:
        """Execute a program of ours in the clone to its end, in a sandbox without a network. Raises TimeoutError."""
        confinement = self.confinement(readable=readable, writable=writable)
        streams = Streams(stdin=asyncio.subprocess.PIPE)
        process = await self.monitor.add(
            await sandbox.start(command, confinement, variables, streams=streams)
        )
        async with asyncio.timeout(seconds):
            return await process.finish(_OUTPUT_BYTES, text)

    async def collect(
        self,
        sandbox: Sandbox,
        subject: str,
        *,
        within: timedelta = timedelta(minutes=1),
        program: str = GATHER,
    ) -> Collected:
        """Commit the agent's files, import the commits that lead to its HEAD, and return the last, with its changes.

        Call it when the agent has ended; it can be called again, and copes with a damaged git folder. Raises
        WorkspaceBroken, also after `within`.
        """
        await remove(self._collection)
        await self.repository.make_collection(self._collection, self.base.sha, excluded=self._excluded)
        bundle = self.folder / "result.bundle"
        # The sandbox sees this file alone, not its folder, so a program there cannot replace it by a link.
        bundle.unlink(missing_ok=True)
        bundle.write_bytes(b"")
        confinement = self.confinement(
            readable=(self.folder / "repository",), writable=(self._collection, bundle)
        )
        base = self.base.sha
        variables = {**confined_environment(self.environment), **self.author.variables}

        async def start(command: Sequence[str], own: Mapping[str, str]) -> ConfinedProcess:
            return await self.monitor.add(await sandbox.start(command, confinement, {**variables, **own}))

        try:
            async with asyncio.timeout(within.total_seconds()):
                head, notes = await gather(
                    start, self._collection, bundle, base=base, subject=subject, program=program
                )
                if not head or head == base:
                    return Collected(None, Changes(), notes, await self._whole(base))
                if not await self._take_in(bundle, head):
                    raise WorkspaceBroken("The agent's work cannot be gathered: its last commit is missing.")
        except TimeoutError:
            raise WorkspaceBroken(
                f"Gathering the agent's work took over {within.total_seconds():.0f} s: is the workspace very large?"
            ) from None
        changes = await self._changes(self.began, head)
        left_out = " ".join(filter(None, (notes, changes.left_out)))
        return Collected(head, changes, left_out, await self._whole(head))

    async def _whole(self, head: str | None) -> Changes | None:
        return await self._changes(self.first, head) if self.first and head else None

    async def _changes(self, base: str | None, head: str) -> Changes:
        changes = await self.repository.changes(base, head)
        summary = await asyncio.to_thread(summarise, changes.patch)
        return replace(changes, texts=await self.repository.texts(summary.old_blobs))

    async def compare(
        self, sandbox: Sandbox, branch: Source | None = None, *, is_whole: bool = False
    ) -> Comparison:
        """Return how the clone differs from the commit that the work started from, while its agent works or waits.

        `branch` is a source to compare with instead, at the current commit of its branch; with `is_whole` it is the
        commit from which the first run on the branch began. Raises RepositoryError.
        """
        base, behind = self.first if is_whole else self.began, None
        if is_whole and base is None:
            raise BranchNotFound("No earlier run has pushed the branch, or where it began is gone.")
        if branch is not None:
            base = await self.repository.fetch_tip(replace(branch, branch=self.base.branch))
            behind = await self.repository.count_commits(self.began, base)
        async with self._comparing:
            scratch = self._compared
            if scratch is None:
                # A new folder, because programs in the sandbox may have changed the last one.
                scratch = Path(mkdtemp(prefix="compared-", dir=self.folder))
                await self.repository.make_collection(scratch, self.base.sha, excluded=self._excluded)
                if self._index.exists():
                    shutil.copy2(self._index, scratch / "index.base")
                self._compared = scratch
            confinement = self.confinement(
                readable=(self.folder / "repository",), writable=(scratch,), read_only=True
            )
            confinement = replace(confinement, has_own_user=False)
            found = await compare(sandbox, confinement, self.environment, scratch=scratch, base=base)
            summary = await asyncio.to_thread(summarise, found.patch)
            return replace(
                found,
                totals=summary.totals,
                behind=behind,
                sizes={path: size for path, size in found.sizes.items() if path in summary.binaries},
                texts=await self.repository.texts(summary.old_blobs),
            )

    async def _take_in(self, bundle: Path, head: str) -> bool:
        if not bundle.stat().st_size:  # noqa: ASYNC240 - a local file
            return await self.repository.has(head)
        return await self.repository.import_bundle(bundle, RESULT) == head


@dataclass(frozen=True, slots=True)
class Workspaces:
    """Where a worker makes the workspaces of its runs, and from what."""

    root: Path
    environment: Mapping[str, str]  # of the worker
    remover: FolderRemover | None = None  # None: a workspace is deleted before its block ends
    hidden: Sequence[Path] = ()
    mirrors: Mirrors | None = None  # None: clone without a mirror
    comparing_memory: int = 512 * 2**20  # limits each git process that makes a patch

    @asynccontextmanager
    async def open(self, run_id: UUID) -> AsyncIterator[Workspace]:
        """Yield the workspace of a run; its folder is deleted after the block, or by the remover."""
        async with open_folder(self.root, run_id, self.remover) as folder:
            workspace = Workspace(folder, self)
            try:
                for path in (workspace.places.home, workspace.places.temporary):
                    path.mkdir(mode=0o700)
                yield workspace
            finally:
                await shielded(workspace.close())
