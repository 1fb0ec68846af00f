"""A run's folder: made, filled with a clone, emptied of results, and always removed.

    <root>/<run>.lock           held by the worker as long as the run lives; the kernel lets go of it if it dies
    <root>/<run>/repository     the worker's repository (repository.py); the agent never sees it
    <root>/<run>/work           the agent's clone, with `.taskbeacon/` for what is not to be committed
    <root>/<run>/home, tmp      the agent's home and temporary folder
    <root>/<run>/collection     scratch repository of `collect`
    <root>/<run>/result.bundle  the agent's commits, on their way from there into ours
    <root>/<run>/objects        objects of Git LFS on their way to the host

After the agent has ended, git runs *inside the sandbox* to gather its work, on the scratch repository and with
our settings, and fills one bundle. Whatever trap the agent left in its clone goes off in the sandbox, where the
agent could have done the same.
"""

import asyncio
import fcntl
import os
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog

from app.agents.base.attachments import OWN_FOLDER
from app.agents.base.safe_paths import make_folder
from app.agents.errors import RepositoryError, WorkspaceBroken
from app.agents.git.command import BIG_FILE, Git, Remote, settings_environment
from app.agents.git.fetch import Base, Source
from app.agents.git.large_files import LargeFileLimits, LargeFiles, find_git_lfs
from app.agents.git.mirrors import Loan, Mirrors, MirrorUnusable
from app.agents.git.repository import COLLECTED, Author, Changes, Repository
from app.agents.git.submodules import Submodules, fetch_submodules
from app.agents.sandbox.limits import RunWatch
from app.agents.sandbox.sandbox import Confinement, Sandbox, confined_environment
from app.enums import AgentNetwork
from app.processes.reading import last_lines, read_bounded
from app.processes.spawning import spawn
from app.shielded import shielded

__all__ = ["Collected", "Workspace", "open_folder", "open_workspace", "reclaim"]

_LOGGER = structlog.get_logger(__name__)
_GRACE_SECONDS = 0.2
_RESULT = f"refs/heads/{COLLECTED}"
_OUTPUT_LIMIT = 2**20
_HEAD = re.compile(r"([0-9a-f]{40}([0-9a-f]{24})?)?")
_NOT_ALL_TAKEN = 40  # no exit status of git
_MOST_NAMED = 20
_LOCK_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9a-f]{8}\.lock")
# All of it in one process of the sandbox: to make a world takes longer than each of these commands.
_GATHER = f"""\
result=$1 work=$2 own=$3 base=$4 bundle=$5 subject=$6
shift 6
set -e
taken=0
# Git waits for what it opens, and may open any of these: as one of its own files, or by a name like .gitattributes. Of
# the output it is told later what it is.
pipes=$(find . "$HOME" "$TMPDIR" ! -path "./$own/output.json" -type p -print -delete 2>/dev/null | tail -n {_MOST_NAMED}) || :
if [ -n "$pipes" ]; then
    echo "Named pipes stay behind:" $pipes >&2
    taken={_NOT_ALL_TAKEN}
fi
# The commit that the work started from is in our objects already, and most agents leave the commits to us. A fetch
# fails where the agent has no commit, or no repository any more; then its files are what counts.
if [ "$(GIT_DIR=$work/.git git rev-parse --verify --quiet HEAD 2>/dev/null)" != "$base" ]; then
    fetch="git fetch --quiet --force --no-tags --no-recurse-submodules"
    $fetch --update-head-ok --update-shallow -- "$work" "HEAD:$result" 2>/dev/null || :
fi
tip=$GIT_DIR/$result
[ ! -e "$tip" ] || git read-tree HEAD
# In a repository below, `git add` starts a git that obeys what the agent configured there: its filters are programs.
# It passes over an entry that is said not to be checked out.
git ls-files -z --stage | sed -z -n 's/^160000 [^\t]*\t//p' | xargs -0 -r sh -c '
    for path; do [ ! -e "$path/.git" ] || printf "%s\\0" "$path"; done
' sh | git update-index -z --skip-worktree --stdin
# Not by a pathspec that excludes our folder: git counts it as an error if the repository ignores the same one.
git add --all --ignore-errors -- . >/dev/null || taken={_NOT_ALL_TAKEN}
# A .gitignore of the repository can say otherwise than the exclude file.
git reset --quiet -- "$own"
# What was done inside submodules stays there, for nobody pushes it to where they come from. A commit of the agent's own
# that moves one is taken as it is.
for path; do
    there=$(GIT_DIR=$path/.git git rev-parse --verify --quiet HEAD 2>/dev/null) || continue
    if [ "$there" != "$(git rev-parse --verify --quiet "HEAD:$path")" ]; then
        echo "Commits inside the submodule $path stay behind." >&2
        taken={_NOT_ALL_TAKEN}
    fi
done
# By the parts of `git commit`, which looks into repositories below too.
tree=$(git write-tree)
before=
[ ! -e "$tip" ] || read -r before <"$tip"
if [ "$tree" != "$([ -z "$before" ] && git mktree </dev/null || git rev-parse "$before^{{tree}}")" ]; then
    git update-ref "$result" "$(git commit-tree ${{before:+-p "$before"}} -m "$subject" "$tree")"
fi
made=
[ ! -e "$tip" ] || read -r made <"$tip"
since=${{base:+^$base}}
if [ "$made" != "$base" ] && ! git bundle create --quiet - "$result" $since >"$bundle" 2>"$GIT_DIR/refusal"; then
    # An agent that went back to an earlier commit has none of its own, and git refuses to make a bundle of none.
    own_commits=$(git rev-list --max-count=1 "$made" $since)
    [ -z "$own_commits" ] || {{ cat "$GIT_DIR/refusal" >&2; exit 1; }}
    : >"$bundle"
fi
echo "$made"
exit $taken
"""
_SETTINGS = (
    ("core.bare", "false"),
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.file.allow", "always"),
    ("safe.directory", "*"),
    ("advice.addEmbeddedRepo", "false"),
    ("core.bigFileThreshold", BIG_FILE),
    ("pack.threads", "2"),
    ("pack.windowMemory", "64m"),
)


@dataclass(frozen=True, slots=True)
class Collected:
    """What a workspace held when the agent was done."""

    head: str | None  # None: nothing was changed
    changes: Changes
    left_out: str = ""  # what could not be taken along, or is not in the patch


class Workspace:
    """The places of one run."""

    def __init__(self, folder: Path, environment: Mapping[str, str], hidden: Sequence[Path]) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.home = folder / "home"
        self.temporary = folder / "tmp"
        self.base = Base()
        self.author = Author()
        self.environment = environment
        self._hidden = tuple(hidden)
        self._repository = Repository(folder / "repository", environment)
        self.watch = RunWatch(folder)
        self._collection = folder / "collection"
        self._mirrors: Mirrors | None = None
        self._loan: Loan | None = None
        self.submodules = Submodules()
        self.large_files: LargeFiles | None = None  # None: those of Git LFS stay pointers

    async def prepare(
        self,
        source: Source | None,
        push_branch: str,
        *,
        author: Author,
        mirrors: Mirrors | None = None,
        submodules_below: str | None = None,
        large_files: LargeFileLimits | None = None,
    ) -> None:
        """Clone the base into `work`, on the branch that is to be pushed; an empty repository if there is no source.

        The objects come through a mirror where there is one that can be used. Submodules are fetched only from below
        the URL that is given for them, files of Git LFS only within
        limits that are given and by a git-lfs that is installed. Raises a RepositoryError.
        """
        self.author = author
        self._repository.create()
        if source is not None:
            self.base = await self._repository.look_up(source, push_branch)
        if not (source and mirrors and self.base.sha and await self._borrow(source, push_branch, mirrors)):
            if source is not None:
                self.base = await self._repository.fetch(source, self.base)
            await self._repository.check_out(self.work, self.base, push_branch, source, author)
        if source is not None and submodules_below is not None and self.base.sha:
            self.submodules = await fetch_submodules(self.work, source, submodules_below, self.environment)
        if source is not None and large_files is not None and LargeFiles.can_reach(source.remote):
            await self._fetch_large_files(source.remote, large_files)
        for name in ("attachments", "artifacts"):
            make_folder(self.work, f"{OWN_FOLDER}/{name}")

    async def _borrow(self, source: Source, push_branch: str, mirrors: Mirrors) -> bool:
        """Take the objects from a mirror; False leaves everything as it was before."""
        try:
            loan = await mirrors.lend(source, self.base)
        except MirrorUnusable:
            return False
        self._mirrors, self._loan = mirrors, loan
        try:
            base = await self._repository.borrow(loan, source, self.base)
            await self._repository.check_out(self.work, base, push_branch, source, self.author)
        except RepositoryError as error:
            _LOGGER.warning("mirror.damaged", reason=error.message)
            self._loan = None
            await mirrors.discard(loan)
            for folder in (self.work, self._repository.folder):
                await _remove(folder)
            self._repository = Repository(self._repository.folder, self.environment)
            self._repository.create()
            return False
        self.base = base
        return True

    async def _fetch_large_files(self, remote: Remote, limits: LargeFileLimits) -> None:
        program = find_git_lfs(self.environment)
        if program is None:
            return
        self.large_files = LargeFiles(
            limits,
            program,
            work=self.work,
            collection=self._collection,
            scratch=self.folder / "objects",
            mirror=self._loan.large_files if self._loan else None,
            environment=self.environment,
        )
        await self.large_files.fetch(remote)

    async def close(self) -> None:
        """Let go of the mirror; nothing may read the workspace's repositories afterwards. Repeatable."""
        if self._mirrors is not None and self._loan is not None:
            loan, self._loan = self._loan, None
            # Also by what came before a fetch failed.
            grew = loan.grew or (self.large_files is not None and self.large_files.requested > 0)
            await self._mirrors.give_back(replace(loan, grew=grew))

    @property
    def _borrowed(self) -> tuple[Path, ...]:
        """What the agent's clone and its git read outside of this folder, and cannot change."""
        lent = (self._loan.objects,) if self._loan else ()
        return (*lent, *self.large_files.readable) if self.large_files else lent

    def confinement(
        self, *, readable: tuple[Path, ...] = (), writable: tuple[Path, ...] = (), read_only: bool = False
    ) -> Confinement:
        """Return the view of the machine from this workspace: nothing of any other, nothing that is hidden.

        `read_only` leaves of the agent's clone only the folder for what it hands over to be written to.
        """
        return Confinement(
            directory=self.work,
            directory_writable=not read_only,
            home=self.home,
            temporary=self.temporary,
            readable=(*readable, *self._borrowed),
            writable=(*writable, self.work / OWN_FOLDER) if read_only else writable,
            hidden=self._hidden,
        )

    async def collect(
        self, sandbox: Sandbox, subject: str, *, within: timedelta = timedelta(minutes=1)
    ) -> Collected:
        """Commit what is uncommitted and take in all commits. Call it when the agent's processes are gone.

        What counts is the agent's HEAD and its files: work on a branch that it left is not looked for. A clone
        without a usable repository still gives its files. Repeatable. Raises WorkspaceBroken, also when it takes longer
        than `within`.
        """
        await _remove(self._collection)
        await self._repository.make_collection(self._collection, self.base.sha)
        bundle = self.folder / "result.bundle"
        # Made here, anew, and shown by itself: what fills it can put nothing else in its place.
        bundle.unlink(missing_ok=True)
        bundle.write_bytes(b"")
        try:
            async with asyncio.timeout(within.total_seconds()):
                head, notes = await self._gather(sandbox, bundle, subject)
                if not head or head == self.base.sha:
                    return Collected(None, Changes([], b"", truncated=False), notes)
                if not await self._take_in(bundle, head):
                    raise WorkspaceBroken("The agent's work cannot be gathered: its last commit is missing.")
        except TimeoutError:
            raise WorkspaceBroken(
                f"Gathering the agent's work took over {within.total_seconds():.0f} s: is the workspace very large?"
            ) from None
        changes = await self._repository.changes(self.base.sha, head)
        return Collected(head, changes, " ".join(filter(None, (notes, changes.left_out))))

    async def _take_in(self, bundle: Path, head: str) -> bool:
        """Take in the agent's commits; tell whether the last is the one that was told of. Raises WorkspaceBroken."""
        if not bundle.stat().st_size:  # noqa: ASYNC240 - a local file
            return await self._repository.has(head)
        return await self._repository.import_bundle(bundle, _RESULT) == head

    async def push(self, remote: Remote, head: str, branch: str) -> None:
        """Push the collected commits to the origin, after the files of Git LFS in them. Raises a RepositoryError."""
        if self.large_files is not None:
            git = Git(self._repository.folder, self.environment)
            await self.large_files.store(remote, git, self.base.sha, head)
        await self._repository.push(remote, head, branch, self.base)

    async def _gather(self, sandbox: Sandbox, bundle: Path, subject: str) -> tuple[str, str]:
        """Commit what there is and bundle the agent's commits.

        Returns the last commit, "" if there is none, and what could not be taken along.
        """
        given = (_RESULT, self.work, OWN_FOLDER, self.base.sha or "", bundle, " ".join(subject.split()))
        confinement = self.confinement(
            readable=(self.folder / "repository",), writable=(self._collection, bundle)
        )
        process = await self.watch.follow(
            await sandbox.start(
                ("sh", "-c", _GATHER, "sh", *map(str, given), *self.submodules.paths),
                confinement,
                self._environment_of_gathering(confinement),
                network=AgentNetwork.NONE,
            )
        )
        try:
            (output, _), (said, _) = await asyncio.gather(
                read_bounded(process.stdout, _OUTPUT_LIMIT), read_bounded(process.stderr, _OUTPUT_LIMIT)
            )
            code = await process.wait()
        finally:
            await shielded(process.stop(_GRACE_SECONDS))
        head = _HEAD.fullmatch(output.decode(errors="replace").strip())
        complaint = said.decode(errors="replace")
        if code not in (0, _NOT_ALL_TAKEN) or head is None:
            raise WorkspaceBroken(f"The agent's work cannot be gathered: {last_lines(complaint)}")
        return head[0], last_lines(complaint) if code == _NOT_ALL_TAKEN else ""

    def _environment_of_gathering(self, confinement: Confinement) -> dict[str, str]:
        """Return what git is to know inside the sandbox: the scratch repository, and nothing of anybody's settings."""
        filters = self.large_files.settings if self.large_files else ()
        return {
            **confined_environment(self.environment, confinement),
            **settings_environment((*_SETTINGS, *filters)),
            "GIT_DIR": str(self._collection),
            "GIT_WORK_TREE": str(self.work),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_AUTHOR_NAME": self.author.name,
            "GIT_AUTHOR_EMAIL": self.author.email,
            "GIT_COMMITTER_NAME": self.author.name,
            "GIT_COMMITTER_EMAIL": self.author.email,
            "LC_ALL": "C.UTF-8",
        }


@asynccontextmanager
async def open_workspace(
    root: Path, run_id: UUID, environment: Mapping[str, str], hidden: Sequence[Path] = ()
) -> AsyncIterator[Workspace]:
    """Make a run's folder and remove it afterwards, whatever happens and however often we are cancelled."""
    folder, lock = _claim_folder(root, run_id)
    workspace = Workspace(folder, environment, hidden)
    try:
        for path in (folder, workspace.home, workspace.temporary):
            path.mkdir(mode=0o700)
        yield workspace
    finally:
        await shielded(_close(workspace, lock))


@asynccontextmanager
async def open_folder(root: Path, run_id: UUID) -> AsyncIterator[Path]:
    """Make a run's folder that no agent sees, beside its workspace, and remove it afterwards as `open_workspace` does."""
    folder, lock = _claim_folder(root, run_id)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        await shielded(_discard(folder, lock))


async def _close(workspace: Workspace, lock: int) -> None:
    try:
        await workspace.close()
    finally:
        await _discard(workspace.folder, lock)


async def reclaim(root: Path) -> int:
    """Remove the folders of workers that died; return how many. Safe beside working workers, and repeatable."""
    removed = 0
    for path in _locks(root):
        lock = _try_lock(path)
        if lock is None:
            continue
        await shielded(_discard(path.with_suffix(""), lock))
        removed += 1
    return removed


def _locks(root: Path) -> list[Path]:
    # Whatever else lies there is somebody's.
    return sorted(path for path in root.glob("*.lock") if _LOCK_NAME.fullmatch(path.name) and path.is_file())


def _claim_folder(root: Path, run_id: UUID) -> tuple[Path, int]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        folder = root.resolve() / f"{run_id}-{secrets.token_hex(4)}"
        lock = _try_lock(folder.with_suffix(".lock"))
        if lock is not None:
            return folder, lock


def _try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock; None if somebody else does, or has just removed the file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)
        return None
    return descriptor


async def _discard(folder: Path, lock: int) -> None:
    try:
        await _remove(folder)
        with suppress(FileNotFoundError):
            folder.with_suffix(".lock").unlink()
    finally:
        os.close(lock)


async def _remove(folder: Path) -> None:
    """Remove a folder that an agent filled: of any depth, with whatever permissions."""
    for command in (("rm", "-rf"), ("chmod", "-R", "u+rwX"), ("rm", "-rf")):
        if not _exists(folder):
            return
        process = await spawn(
            *command, "--", str(folder), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        await process.wait()
    if _exists(folder):
        _LOGGER.error("workspace.not_removed", folder=str(folder))


def _exists(folder: Path) -> bool:
    return folder.is_dir()
