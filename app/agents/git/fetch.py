"""Looks up the branches of a remote repository, and fetches one of them into a bare repository."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from app.agents.errors import (
    BranchNotFound,
    RepositoryAccessDenied,
    RepositoryError,
    RepositoryNotFound,
    RepositoryUnreachable,
)
from app.agents.git.git_command import Git, Remote
from app.agents.git.repository_files import read_ref
from app.processes.output import last_lines
from app.processes.spawning import Ended

TRANSFER = timedelta(minutes=20)
_LOCAL = timedelta(minutes=5)
_LOOK_UP = timedelta(minutes=1)

# The host asked for a credential, as it also does for a repository that does not exist.
_ASKED = re.compile(r"could not read (?:Username|Password)|terminal prompts disabled")
_WHENCE = (
    " Without an integration it is cloned from TASKBEACON_GIT_BASE_URL; `taskbeacon try` takes a folder."
)
# Patterns in git's English messages; the first match applies.
_FAILURES: tuple[tuple[re.Pattern[str], type[RepositoryError], str], ...] = (
    (
        _ASKED,
        RepositoryNotFound,
        f"The repository {{url}} does not exist, or needs credentials that this service does not have.{_WHENCE}",
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
        f"The repository {{url}} does not exist, or is not visible to this service.{_WHENCE}",
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

# Characters and affixes that a ref name must not have.
_NO_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^-|\.$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The remote repository that a run clones: the branch to start from, and how much of the history to fetch."""

    remote: Remote
    branch: str | None = None  # None: the default branch
    resumes: bool = False  # whether the work starts from the push branch, if the origin has it
    depth: int = 0  # commits of history; 0 = all
    filter: str = ""  # git's filter for a partial clone: which objects are not fetched


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneBase:
    branch: str | None = None  # the branch that the work is to be merged into
    start: str | None = None  # the branch of `sha`: `branch`, or the push branch of an earlier attempt or run
    sha: str | None = None  # None until it is known, and for an empty repository
    leftover: str = ""  # the commit of the push branch at the code host, from an earlier attempt or run


async def look_up(git: Git, source: Source, push_branch: str) -> CloneBase:
    """Ask for the commit to start from, and for that of `push_branch`. Raises BranchNotFound, RepositoryError."""
    remote, branch = source.remote, source.branch
    if branch is not None and not _is_branch_name(branch):
        raise BranchNotFound(f"The repository {remote.url} has no branch '{branch}'.")
    heads, default = await _list_heads(git, remote, branch, push_branch)
    leftover = heads.get(f"refs/heads/{push_branch}", "")
    chosen = branch or default
    if source.resumes and leftover:
        return CloneBase(branch=chosen, start=push_branch, sha=leftover, leftover=leftover)
    sha = heads.get(f"refs/heads/{chosen}") if branch else heads.get("HEAD")
    if sha is None or chosen is None:
        if branch is not None:
            raise BranchNotFound(f"The repository {remote.url} has no branch '{branch}'.")
        await _require_empty(git, remote)
        return CloneBase(leftover=leftover)
    return CloneBase(branch=chosen, start=chosen, sha=sha, leftover=leftover)


async def fetch(git: Git, source: Source, start: str, *, held: Sequence[int] = ()) -> str:
    """Fetch a branch into a bare repository, its files too if the clone is partial; return its commit."""
    options = ["--depth", str(source.depth)] if source.depth else []
    place = source.remote.url
    if source.filter:
        options += ["--filter", source.filter]
        place = "origin"
        await git.output("config", "remote.origin.url", source.remote.url, timeout=_LOCAL)
    ref = f"refs/heads/{start}"
    await transfer(git, source.remote, *options, "--", place, f"+{ref}:{ref}", held=held)
    sha = read_ref(git.folder, ref) or await git.output("rev-parse", ref, timeout=_LOCAL)
    if source.filter:
        await fetch_files(git, source.remote, sha, held)
    return sha


async def fetch_files(git: Git, remote: Remote, sha: str, held: Sequence[int] = ()) -> None:
    """Fetch the files of a commit that a partial clone lacks. Raises RepositoryError."""
    listed = await git.run(
        "rev-list", "--objects", "--no-object-names", "--missing=print", "--max-count=1", sha, timeout=_LOCAL
    )
    missing = [line[1:] for line in listed.output.split() if line.startswith(b"?")]
    if listed.code != 0 or listed.is_truncated:
        raise RepositoryError("The files of a partial clone cannot be listed: are there too many?")
    if not missing:
        return
    await transfer(
        git,
        remote,
        *("--filter=blob:none", "--stdin", "--", "origin"),
        settings=("-c", "fetch.negotiationAlgorithm=noop"),
        text=b"\n".join(missing) + b"\n",
        held=held,
    )


async def transfer(
    git: Git,
    remote: Remote,
    *arguments: str,
    settings: Sequence[str] = (),
    text: bytes = b"",
    held: Sequence[int] = (),
) -> None:
    """Run `git fetch` without tags and FETCH_HEAD. Raises RepositoryError."""
    result = await git.run(
        *(*settings, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *arguments),
        timeout=TRANSFER,
        remote=remote,
        text=text,
        held=held,
    )
    if result.code != 0:
        refuse(result, remote, "could not be fetched")


async def _list_heads(
    git: Git, remote: Remote, branch: str | None, push_branch: str
) -> tuple[dict[str, str], str | None]:
    wanted = ["HEAD", *(f"refs/heads/{name}" for name in (branch, push_branch) if name)]
    result = await git.run(
        "ls-remote", "--symref", "--", remote.url, *wanted, timeout=_LOOK_UP, remote=remote
    )
    if result.code != 0:
        refuse(result, remote, "cannot be read")
    heads: dict[str, str] = {}
    default = None
    for line in result.output.decode(errors="replace").splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == "HEAD":
            branch_name = value.removeprefix("ref: refs/heads/")
            # The host chooses the name, which becomes a file name here, so it is checked.
            default = branch_name if _is_branch_name(branch_name) else None
        elif name in wanted:
            heads[name] = value
    return heads, default


def _is_branch_name(name: str) -> bool:
    # The rules of `git check-ref-format`, without starting a process for each run.
    parts = name.split("/")
    return not _NO_NAME.search(name) and not any(
        not part or part.startswith(".") or part.endswith(".lock") for part in parts
    )


async def _require_empty(git: Git, remote: Remote) -> None:
    result = await git.run(
        "ls-remote", "--heads", "--", remote.url, timeout=_LOOK_UP, remote=remote, limit=1000
    )
    if result.output:
        raise BranchNotFound(
            f"The repository {remote.url} has no usable default branch: name the branch to start from."
        )


def refuse(
    result: Ended, remote: Remote, what: str, otherwise: type[RepositoryError] = RepositoryError
) -> NoReturn:
    """Raise the RepositoryError that fits the output of a failed git command, else `otherwise`."""
    if remote.credential is not None and _ASKED.search(result.errors):
        raise RepositoryAccessDenied(f"The repository {remote.url} refused the service's credentials.")
    for pattern, error, message in _FAILURES:
        if pattern.search(result.errors):
            raise error(message.format(url=remote.url))
    reason = remote.redact(last_lines(result.errors))
    raise otherwise(f"The repository {remote.url} {what}: {reason}")
