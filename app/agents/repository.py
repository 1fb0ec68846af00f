"""The worker's own repository of a run: fetched from the origin, pushed back to it, never shown to the agent.

The agent works in a clone of it and owns that clone, `.git` included; it may turn its configuration, hooks,
filters, alternates or nested repositories into traps. So no git of the worker ever opens that clone or its work
tree: the agent's commits come back as a bundle (see workspace.py), which is data and can only be fetched from.
Chosen over reading the clone with defensive settings, because `git add` and `git status` start a git *inside* a
nested repository, with its configuration, and strip every setting that could have forbidden it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from app.agents.errors import (
    BranchNotFound,
    PushRejected,
    RepositoryAccessDenied,
    RepositoryError,
    RepositoryNotFound,
    RepositoryUnreachable,
    WorkspaceBroken,
)
from app.agents.git import Git, Remote, Result
from app.agents.streams import last_lines

__all__ = ["Author", "Base", "Changes", "Repository"]

_LOCAL = timedelta(minutes=5)
_LOOK_UP = timedelta(minutes=1)
_TRANSFER = timedelta(minutes=20)
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_RESULT_REF = "refs/taskbeacon/result"
_MOST_FILES = 5000
_LONGEST_PATH = 1000
_PATCH_LIMIT = 10 * 2**20
_PATCH_CUT = b"\n# The patch was cut here: it is longer than %d bytes.\n"

# git would like to ask somebody for credentials; hosts also answer like this for what does not exist.
_ASKED = re.compile(r"could not read (?:Username|Password)|terminal prompts disabled")
# In the order in which they are looked for, in what git says in English.
_COMPLAINTS: tuple[tuple[re.Pattern[str], type[RepositoryError], str], ...] = (
    (
        _ASKED,
        RepositoryNotFound,
        "The repository {url} does not exist, or needs credentials that this service does not have.",
    ),
    (
        re.compile(r"Authentication failed|Permission denied|returned error: 40[13]|Invalid username"),
        RepositoryAccessDenied,
        "The repository {url} refused the service's credentials.",
    ),
    (
        re.compile(
            r"repository .*not found|does not appear to be a git repository|returned error: 404"
            r"|does not exist|not exported",
            re.IGNORECASE,
        ),
        RepositoryNotFound,
        "The repository {url} does not exist, or is not visible to this service.",
    ),
    (
        re.compile(
            r"Could not resolve|Connection refused|Failed to connect|Couldn't connect|timed out|unable to connect"
            r"|Network is unreachable|No route to host|returned error: 5\d\d|Empty reply|hung up unexpectedly",
            re.IGNORECASE,
        ),
        RepositoryUnreachable,
        "The host of the repository {url} cannot be reached.",
    ),
)


@dataclass(frozen=True, slots=True)
class Author:
    """Who signs a commit."""

    name: str = "Taskbeacon"
    email: str = "taskbeacon@users.noreply.localhost"


@dataclass(frozen=True, slots=True)
class Base:
    """Where the work starts; no commit at all in an empty repository."""

    branch: str | None = None
    sha: str | None = None
    leftover: str = ""  # where an earlier attempt at this run left the push branch


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between the base and the result."""

    files: list[str]
    patch: bytes
    truncated: bool


class Repository:
    """A bare repository that only the worker touches."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._git = Git(folder, environment)

    async def create(self) -> None:
        """Make the empty repository."""
        self.folder.mkdir(mode=0o700)
        await self._git.output("init", "--quiet", "--bare", "--template=", timeout=_LOCAL)

    async def fetch_base(self, remote: Remote, branch: str | None, push_branch: str, depth: int) -> Base:
        """Fetch the base branch, or the default one. Raises a RepositoryError that says what is wrong."""
        if branch is not None:
            await self._require_name(branch, remote)
        heads, default = await self._list_heads(remote, branch, push_branch)
        leftover = heads.get(f"refs/heads/{push_branch}", "")
        chosen = branch or default
        sha = heads.get(f"refs/heads/{chosen}") if branch else heads.get("HEAD")
        if sha is None or chosen is None:
            if branch is not None:
                raise BranchNotFound(f"The repository {remote.url} has no branch '{branch}'.")
            await self._require_empty(remote)
            return Base(leftover=leftover)
        bound = ("--depth", str(depth)) if depth else ()
        refspec = f"+refs/heads/{chosen}:refs/heads/{chosen}"
        result = await self._git.run(
            "fetch",
            "--quiet",
            "--no-tags",
            *bound,
            "--",
            remote.url,
            refspec,
            timeout=_TRANSFER,
            remote=remote,
        )
        if result.code != 0:
            _refuse(result, remote, "could not be fetched")
        sha = await self._git.output("rev-parse", f"refs/heads/{chosen}", timeout=_LOCAL)
        return Base(branch=chosen, sha=sha, leftover=leftover)

    async def check_out(
        self, work: Path, base: Base, branch: str, origin: str | None, author: Author
    ) -> None:
        """Give the agent a clone of its own, on a new branch; nothing in it is shared with this repository."""
        where = Git(work, self._git.environment)
        if base.sha is None:
            await self._git.output(
                "init",
                "--quiet",
                "--template=",
                f"--initial-branch={branch}",
                "--",
                str(work),
                timeout=_LOCAL,
            )
        else:
            source = (
                "--no-hardlinks",
                "--no-tags",
                "--branch",
                str(base.branch),
                "--",
                str(self.folder),
                str(work),
            )
            await self._git.output("clone", "--quiet", "--template=", *source, timeout=_TRANSFER)
            await where.output("switch", "--quiet", "--no-track", "--force-create", branch, timeout=_LOCAL)
        if origin is not None:
            verb = "add" if base.sha is None else "set-url"
            await where.output("remote", verb, "origin", origin, timeout=_LOCAL)
        for key, value in (("user.name", author.name), ("user.email", author.email)):
            await where.output("config", key, value, timeout=_LOCAL)
        _exclude_own_folder(work / ".git")

    async def clone_for_collection(self, folder: Path) -> None:
        """Make the scratch repository that gathers the agent's work: it reads our objects, and writes its own."""
        await self._git.output(
            "clone", "--quiet", "--bare", "--shared", "--template=", "--", ".", str(folder), timeout=_LOCAL
        )
        _exclude_own_folder(folder)

    async def has(self, sha: str) -> bool:
        """Return whether a commit is here already."""
        return (await self._git.run("cat-file", "-e", f"{sha}^{{commit}}", timeout=_LOCAL)).code == 0

    async def import_bundle(self, bundle: Path, ref: str) -> None:
        """Take in commits that an agent made, refusing malformed objects. Raises WorkspaceBroken."""
        check = ("-c", "fetch.fsckObjects=true")
        refspec = f"+{ref}:{_RESULT_REF}"
        result = await self._git.run(
            *check, "fetch", "--quiet", "--no-tags", "--", str(bundle), refspec, timeout=_LOCAL
        )
        if result.code != 0:
            raise WorkspaceBroken(f"The agent's commits cannot be read: {last_lines(result.complaint)}")

    async def changes(self, base: str | None, head: str) -> Changes:
        """Return the files and the patch between two commits, both bounded."""
        between = (base or _EMPTY_TREE, head)
        plain = ("--no-color", "--no-ext-diff", "--no-textconv")
        names = await self._git.run(
            "diff", *plain, "--name-only", "--no-renames", "-z", *between, timeout=_LOCAL
        )
        paths = names.output.decode(errors="replace").split("\0")[:-1]
        patch = await self._git.run(
            "diff", *plain, "--binary", "--full-index", *between, timeout=_LOCAL, limit=_PATCH_LIMIT
        )
        content = patch.output
        if patch.truncated:
            content = content[: content.rfind(b"\n") + 1] + _PATCH_CUT % _PATCH_LIMIT
        files = [path[:_LONGEST_PATH] for path in paths[:_MOST_FILES]]
        return Changes(files, content, truncated=patch.truncated)

    async def push(self, remote: Remote, head: str, branch: str, base: Base) -> None:
        """Push a commit as a new branch. Raises PushRejected or another RepositoryError.

        Repeatable: the branch of an earlier attempt is replaced if nobody has touched it since this one began.
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
            timeout=_TRANSFER,
            remote=remote,
        )
        if result.code == 0:
            return
        refusal = re.search(r"^!\t\S+\t(.+)$", result.output.decode(errors="replace"), re.MULTILINE)
        if refusal is None:
            _refuse(result, remote, f"did not take the branch '{branch}'", PushRejected)
        said = remote.redact(last_lines(result.complaint))
        raise PushRejected(f"{remote.url} did not take the branch '{branch}': {refusal[1]}\n{said}")

    async def _list_heads(
        self, remote: Remote, branch: str | None, push_branch: str
    ) -> tuple[dict[str, str], str | None]:
        """Return the commits of HEAD and of the branches asked for, and the name of the default branch."""
        wanted = ["HEAD", *(f"refs/heads/{name}" for name in (branch, push_branch) if name)]
        result = await self._git.run(
            "ls-remote", "--symref", "--", remote.url, *wanted, timeout=_LOOK_UP, remote=remote
        )
        if result.code != 0:
            _refuse(result, remote, "cannot be read")
        heads: dict[str, str] = {}
        default = None
        for line in result.output.decode(errors="replace").splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: ") and name == "HEAD":
                default = value.removeprefix("ref: refs/heads/")
            elif name in wanted:
                heads[name] = value
        return heads, default

    async def _require_name(self, branch: str, remote: Remote) -> None:
        result = await self._git.run("check-ref-format", f"refs/heads/{branch}", timeout=_LOCAL)
        if result.code != 0:
            raise BranchNotFound(f"The repository {remote.url} has no branch '{branch}'.")

    async def _require_empty(self, remote: Remote) -> None:
        result = await self._git.run(
            "ls-remote", "--heads", "--", remote.url, timeout=_LOOK_UP, remote=remote, limit=1000
        )
        if result.output:
            raise BranchNotFound(
                f"The repository {remote.url} has no usable default branch: name the branch to start from."
            )


def _refuse(
    result: Result, remote: Remote, what: str, otherwise: type[RepositoryError] = RepositoryError
) -> NoReturn:
    """Raise the error that fits what git said."""
    if remote.credential is not None and _ASKED.search(result.complaint):
        raise RepositoryAccessDenied(f"The repository {remote.url} refused the service's credentials.")
    for pattern, error, message in _COMPLAINTS:
        if pattern.search(result.complaint):
            raise error(message.format(url=remote.url))
    said = remote.redact(last_lines(result.complaint))
    raise otherwise(f"The repository {remote.url} {what}: {said}")


def _exclude_own_folder(git_folder: Path) -> None:
    """Have a repository pass over `.taskbeacon/`, whatever its own .gitignore says of it or not."""
    exclude = git_folder / "info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("/.taskbeacon/\n")
