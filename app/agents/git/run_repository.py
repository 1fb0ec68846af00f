"""The worker's own git repository of a run: fetched from the origin, pushed back, never shown to an agent.

The agent owns its clone: configuration, hooks, filters and nested repositories may be malicious. So no git of the
worker opens that clone or its work tree: the agent's commits come back as a bundle, which is data to fetch from.
"""

import re
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import structlog

from app.agents.errors import (
    BranchNotFound,
    PushRejected,
    RepositoryError,
    RepositoryUnreachable,
    WorkspaceBroken,
)
from app.agents.git.fetch import TRANSFER, CloneBase, Source, fetch, fetch_files, look_up, refuse, transfer
from app.agents.git.git_command import Git, Remote, require_success
from app.agents.git.mirrors import BorrowedObjects
from app.agents.git.repository_files import add_settings, make_repository, read_ref, write_ref
from app.processes.output import last_lines
from app.processes.spawning import Ended, run_to_end

log = structlog.get_logger(__name__)
COLLECTED = "result"
# Patterns for git to ignore the service's own folder in a clone, except for the checks file of the repository.
EXCLUDED = b"/.taskbeacon/*\n!/.taskbeacon/checks.toml\n"

_LOCAL = timedelta(minutes=5)
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_RESULT_REF = "refs/taskbeacon/result"
_MOST_FILES = 5000
_LONGEST_PATH = 1000
PATCH_LIMIT = 10 * 2**20
# The most bytes of the texts of changed files: of one, and of all together.
_TEXT_LIMIT = 512 * 2**10
_TEXTS_LIMIT = 8 * 2**20
_COMPARING = timedelta(minutes=1)
_NO_PATCH = "The patch is left out: comparing what the agent changed takes too much memory or time."
_LARGE = 4 * 2**20
_NO_LARGE_FILES = "Files over 4 MiB are left out of the patch: with them it takes too much memory or time."
# The most bytes of arguments for git, well below the limit of the kernel.
_LONGEST_LIST = 100_000
_LIST_LIMIT = 256 * 2**20
_PATCH_CUT = b"\n# The patch was cut here: it is longer than %d bytes.\n"


@dataclass(frozen=True, slots=True)
class Author:
    name: str = "Taskbeacon"
    email: str = "taskbeacon@users.noreply.localhost"

    @property
    def variables(self) -> dict[str, str]:
        roles = ("AUTHOR", "COMMITTER")
        fields = (("NAME", self.name), ("EMAIL", self.email))
        return {f"GIT_{role}_{field}": value for role in roles for field, value in fields}


@dataclass(frozen=True, slots=True)
class Changes:
    """The files that a run changed, and the patch, whose end may be missing."""

    files: list[str] = field(default_factory=list)
    patch: bytes = b""
    left_out: str = ""  # why the patch is incomplete
    texts: Mapping[str, str] = field(default_factory=dict)  # of the changed files, before the changes


class TreeFile(NamedTuple):
    mode: str
    blob: str
    path: str


class Repository:
    def __init__(self, folder: Path, environment: Mapping[str, str], comparing_memory: int) -> None:
        self.folder = folder
        self._comparing_memory = comparing_memory
        self._git = Git(folder, environment)
        self.borrowed: BorrowedObjects | None = None  # of a mirror, which stays locked meanwhile
        self._origin_of_partial: str | None = None

    def create(self) -> None:
        self.folder.mkdir(mode=0o700)
        make_repository(self.folder)

    async def look_up(self, source: Source, push_branch: str) -> CloneBase:
        """Ask for the commit to start from, and for that of `push_branch`. Raises RepositoryError."""
        return await look_up(self._git, source, push_branch)

    async def fetch(self, source: Source, base: CloneBase) -> CloneBase:
        """Fetch the branch that the work starts from, if any; return `base` with its commit. Raises RepositoryError."""
        if base.start is None:
            return base
        self._origin_of_partial = source.remote.url if source.filter else None
        return replace(base, sha=await fetch(self._git, source, base.start))

    async def borrow(self, borrowed: BorrowedObjects, source: Source, base: CloneBase) -> CloneBase:
        """Create the branch on the objects of a mirror, which must stay locked; return `base` with its commit."""
        assert base.start is not None
        self.borrowed = borrowed
        _borrow(self.folder, borrowed.objects, borrowed.shallow)
        if source.filter:
            self._origin_of_partial = source.remote.url
            await _mark_partial(self._git, source.remote.url)
        write_ref(self.folder, f"refs/heads/{base.start}", borrowed.sha)
        return replace(base, sha=borrowed.sha)

    async def check_out(
        self, work: Path, base: CloneBase, branch: str, source: Source | None, author: Author
    ) -> None:
        """Create the agent's clone in `work` on the new branch `branch`; it shares no file with this repository."""
        git_folder = work / ".git"
        make_repository(git_folder, branch=branch, is_bare=False)
        if source is not None:
            fetched = ("fetch", "+refs/heads/*:refs/remotes/origin/*")
            add_settings(git_folder, ('remote "origin"', (("url", source.remote.url), fetched)))
            if base.sha is not None:
                await self._check_out(Git(work, self._git.environment), base, branch, source)
        add_settings(git_folder, ("user", (("name", author.name), ("email", author.email))))
        _exclude(git_folder, EXCLUDED)

    async def _check_out(self, where: Git, base: CloneBase, branch: str, source: Source) -> None:
        git_folder, sha = where.folder / ".git", str(base.sha)
        borrowed = self.borrowed
        if borrowed is not None and borrowed.sha == sha:
            _borrow(git_folder, borrowed.objects, borrowed.shallow)
        else:
            # The mirror does not have a commit that was made or fetched in this repository.
            await _copy_objects(self.folder, git_folder)
        if source.filter:
            await _mark_partial(where, source.remote.url)
        for ref in (f"refs/remotes/origin/{base.start}", f"refs/heads/{base.start}"):
            write_ref(git_folder, ref, sha)
        # Without --force, git reports success even if it could not read a file, and the work would delete that file.
        checkout = ("checkout", "--quiet", "--force", "--no-track", "-B", branch, sha)
        await where.output(*checkout, timeout=TRANSFER)

    async def make_collection(self, folder: Path, base: str | None, *, excluded: bytes) -> None:
        """Create the scratch repository, on these objects, in which the agent's commits and files are gathered."""
        make_repository(folder, branch=COLLECTED)
        if base is not None:
            write_ref(folder, f"refs/heads/{COLLECTED}", base)
        shallow = self.folder / "shallow"
        _borrow(folder, self.folder / "objects", shallow.read_bytes() if shallow.exists() else b"")
        if self._origin_of_partial is not None:
            await _mark_partial(Git(folder, self._git.environment), self._origin_of_partial)
        _exclude(folder, excluded)

    async def has(self, sha: str) -> bool:
        return (await self._git.run("cat-file", "-e", f"{sha}^{{commit}}", timeout=_LOCAL)).code == 0

    async def fetch_commit(self, remote: Remote, sha: str, depth: int = 1) -> None:
        """Fetch what this repository lacks of a commit and its files. Raises RepositoryError."""
        if not await self.has(sha):
            history = ("--depth", str(depth)) if depth else ()
            await transfer(self._git, remote, *history, "--", remote.url, sha)
        elif self._origin_of_partial is not None:
            await fetch_files(self._git, remote, sha)

    async def fetch_tip(self, source: Source) -> str:
        """Return the commit that the branch of `source` has now, and fetch it if need be. Raises RepositoryError."""
        tip = (await look_up(self._git, replace(source, resumes=False), "")).sha
        if tip is None:
            raise BranchNotFound(f"The repository {source.remote.url} is empty.")
        if not await self.has(tip):
            await self.fetch_commit(source.remote, tip, source.depth)
        return tip

    async def count_commits(self, since: str | None, tip: str) -> int | None:
        """Return how many commits lead to `tip` and not to `since`, of those that were fetched; None if unknown."""
        counted = await self._git.run("rev-list", "--count", f"{since}..{tip}", timeout=_LOCAL)
        return int(counted.output) if since and counted.code == 0 else None

    async def import_bundle(self, bundle: Path, ref: str) -> str | None:
        """Import the agent's commits; return the commit of `ref`, None if git kept none. Raises WorkspaceBroken."""
        check = ("-c", "fetch.fsckObjects=true")
        refspec = f"+{ref}:{_RESULT_REF}"
        result = await self._git.run(
            *check, "fetch", "--quiet", "--no-tags", "--", str(bundle), refspec, timeout=_LOCAL
        )
        if result.code != 0:
            raise WorkspaceBroken(f"The agent's commits cannot be read: {last_lines(result.errors)}")
        return read_ref(self.folder, _RESULT_REF)

    async def changes(self, base: str | None, head: str) -> Changes:
        """Return files and patch from `base` (None: an empty tree) to `head`; `left_out` says what was too large."""
        between = (base or EMPTY_TREE, head)
        # A renamed file counts as one, as in the patch. If finding renames exceeds the memory, it counts as two.
        names = await self._compare("--name-only", "-z", *between)
        names = names or await self._compare("--name-only", "--no-renames", "-z", *between)
        if names is None:
            return Changes(left_out=_NO_PATCH)
        paths = names.output.decode(errors="replace").split("\0")[:-1]
        files = [path[:_LONGEST_PATH] for path in paths[:_MOST_FILES]]
        if patch := await self._compare("--binary", "--full-index", *between):
            return Changes(files, _cut(patch))
        large = await self._large_files(between)
        if large and (rest := await self._compare("--binary", "--full-index", *between, "--", ".", *large)):
            return Changes(files, _cut(rest), _NO_LARGE_FILES)
        return Changes(files, left_out=_NO_PATCH)

    async def _large_files(self, between: tuple[str, str]) -> list[str]:
        raw = await self._compare("--raw", "--no-renames", "--no-abbrev", "-z", *between)
        fields = raw.output.decode(errors="surrogateescape").split("\0")[:-1] if raw else []
        changed = [(entry.split()[2:4], path) for entry, path in zip(fields[::2], fields[1::2], strict=False)]
        wanted = "".join(f"{blob}\n" for blobs, _ in changed for blob in blobs).encode()
        listed = await self._git.run(
            "cat-file", "--batch-check=%(objectsize)", timeout=_COMPARING, text=wanted
        )
        sizes = [int(size) if size.isdigit() else 0 for size in listed.text.splitlines()]
        large = [
            f":(exclude,literal){path}"
            for (_, path), *both in zip(changed, sizes[::2], sizes[1::2], strict=False)
            if max(both) > _LARGE
        ]
        return large if len("".join(large)) < _LONGEST_LIST else []

    async def _compare(self, *arguments: str) -> Ended | None:
        try:
            result = await self._git.run(
                *("diff", "--no-color", "--no-ext-diff", "--no-textconv", *arguments),
                timeout=_COMPARING,
                limit=PATCH_LIMIT,
                memory=self._comparing_memory,
            )
        except RepositoryUnreachable:
            return None
        return result if result.code == 0 or result.is_truncated else None

    async def texts(self, blobs: Mapping[str, str]) -> dict[str, str]:
        """Return the blobs that are texts, by path, up to 8 MiB together; large ones are left out."""
        found = list(blobs.items())[:_MOST_FILES]
        kept, room, texts = list[tuple[str, str]](), _TEXTS_LIMIT, dict[str, str]()
        try:
            for blob, line in zip(found, await self._read_each("--batch-check", found), strict=False):
                _, kind, *size = line.split()
                if kind == b"blob" and int(*size) <= min(_TEXT_LIMIT, room):
                    room -= int(*size)
                    kept.append(blob)
            content = await self._read_each("--batch", kept)
        except RepositoryError as error:
            log.warning("repository.no_texts", reason=error.message)
            return {}
        for path, _ in kept:
            text = content.read(int(content.readline().split()[2]))
            content.read(1)
            with suppress(UnicodeDecodeError):
                if b"\0" not in text:
                    texts[path] = text.decode()
        return texts

    async def _read_each(self, how: str, blobs: list[tuple[str, str]]) -> BytesIO:
        # Asked by id: git repeats what it does not find, and a path could contain line breaks.
        asked = "".join(f"{id_}\n" for _, id_ in blobs).encode()
        if not asked:
            return BytesIO()
        read = await self._git.run("cat-file", how, timeout=_COMPARING, limit=2 * _TEXTS_LIMIT, text=asked)
        return BytesIO(require_success(read, "cat-file").output)

    async def tree(self, commit: str) -> list[TreeFile]:
        """Return the files of a commit. Raises RepositoryError."""
        files = []
        for entry in await self._fields("ls-tree", "-r", "-z", commit):
            details, _, path = entry.partition("\t")
            mode, _, blob = details.split()
            files.append(TreeFile(mode, blob, path))
        return files

    async def read(self, blob: str, limit: int) -> bytes:
        return (await self._git.run("cat-file", "blob", blob, timeout=_LOCAL, limit=limit)).output[:limit]

    async def changed_files(self, base: str, commit: str) -> list[tuple[str, str]]:
        """Return the letter (A, M, D …) and the path of each file that differs. Raises RepositoryError."""
        command = ("diff-tree", "-r", "-z", "--no-renames", "--name-status", base, commit)
        fields = await self._fields(*command)
        return list(zip(fields[::2], fields[1::2], strict=True))

    async def with_files_of(self, commit: str, other: str, paths: Collection[str]) -> str:
        """Return a commit like `commit`, but with `paths` as they are in `other`, or not at all."""
        if not paths:
            return commit
        kept = {file.path: file for file in await self.tree(other)}
        gone = TreeFile("0", "0" * len(commit), "")
        lines = ((kept.get(path, gone), path) for path in paths)
        listed = "".join(f"{file.mode} {file.blob}\t{path}\0" for file, path in lines)
        index = {"GIT_INDEX_FILE": str(self.folder / "index.checks")}
        await self._fields("read-tree", commit, variables=index)
        text = listed.encode(errors="surrogateescape")
        await self._fields("update-index", "-z", "--index-info", text=text, variables=index)
        (tree,) = await self._fields("write-tree", variables=index)
        made = ("commit-tree", "-p", commit, "-m", "Files put back for checks", tree.strip())
        (sha,) = await self._fields(*made, variables=Author().variables)
        return sha.strip()

    async def _fields(
        self, *arguments: str, text: bytes = b"", variables: Mapping[str, str] = MappingProxyType({})
    ) -> list[str]:
        result = await self._git.run(
            *arguments, timeout=_LOCAL, limit=_LIST_LIMIT, text=text, variables=variables
        )
        output = require_success(result, arguments[0]).output
        fields = output.decode(errors="surrogateescape").split("\0")
        return fields if fields[-1] else fields[:-1]

    async def push(self, remote: Remote, head: str, branch: str, base: CloneBase) -> None:
        """Push `head` as the branch `branch`, over that of an earlier attempt or run. Can be repeated.

        Refused if the branch is not at `base.leftover` any more. If this is cancelled, git is killed, and the code host
        may have taken the branch. Raises PushRejected, RepositoryError.
        """
        ref = f"refs/heads/{branch}"
        if branch == base.branch:
            raise PushRejected(
                f"The branch '{branch}' is the one the work started from; it is never pushed to."
            )
        result = await self._git.run(
            "push",
            "--porcelain",
            "--no-verify",
            f"--force-with-lease={ref}:{base.leftover}",
            "--",
            remote.url,
            f"{head}:{ref}",
            timeout=TRANSFER,
            remote=remote,
        )
        if result.code == 0:
            return
        refusal = re.search(r"^!\t\S+\t(.+)$", result.output.decode(errors="replace"), re.MULTILINE)
        if refusal is None:
            refuse(result, remote, f"did not take the branch '{branch}'", PushRejected)
        output = remote.redact(last_lines(result.errors))
        raise PushRejected(f"{remote.url} did not take the branch '{branch}': {refusal[1]}\n{output}")


def _cut(patch: Ended) -> bytes:
    return cut_patch(patch.output) if patch.is_truncated else patch.output


def cut_patch(content: bytes) -> bytes:
    """Return the whole lines of a patch that was too long, and a last one that says so."""
    return content[: content.rfind(b"\n") + 1] + _PATCH_CUT % PATCH_LIMIT


def _exclude(git_folder: Path, patterns: bytes) -> None:
    exclude = git_folder / "info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_bytes(patterns)


def _borrow(git_folder: Path, objects: Path, shallow: bytes) -> None:
    alternates = git_folder / "objects/info/alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_text(f"{objects}\n")
    if shallow:
        (git_folder / "shallow").write_bytes(shallow)


async def _copy_objects(repository: Path, git_folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.copyfile(repository / "shallow", git_folder / "shallow")
    # By a program, which can be killed: copying may take long.
    command = ("cp", "-R", "--", f"{repository}/objects/.", str(git_folder / "objects"))
    try:
        copied = await run_to_end(*command, seconds=TRANSFER.total_seconds())
    except TimeoutError:
        raise RepositoryError(f"Copying the clone took over {TRANSFER.total_seconds():.0f} s.") from None
    if copied.code != 0:
        raise RepositoryError(f"The clone cannot be copied: {last_lines(copied.errors)}")


async def _mark_partial(git: Git, url: str) -> None:
    for key, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", url),
        ("remote.origin.promisor", "true"),
    ):
        await git.output("config", key, value, timeout=_LOCAL)
