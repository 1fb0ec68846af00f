"""Fetches submodules into the agent's clone before the agent starts; only if the operator enables them.

`.gitmodules` is untrusted: it is read as data, and only URLs below the host's base URL count.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from app.agents.errors import RepositoryError
from app.agents.git.command import Git, Remote
from app.agents.git.fetch import TRANSFER, Source, refuse

_LOCAL = timedelta(minutes=5)
_MOST = 50
_DEEPEST = 5
_LIST_BYTES = 2**20
_LONGEST_NAME = 200
_MOST_LISTED = 500
_LONGEST_PATH = 1000
_GITLINK = "160000"
_PARTS = ("path", "url")
_KEY = re.compile(r"submodule\.(.+)\.(path|url)", re.DOTALL)
# git@host:path and ssh://git@host/path, as people copy them: fetched by https with the run's credential.
_SSH = re.compile(r"(?:ssh://)?[A-Za-z0-9_.-]+@([A-Za-z0-9.-]+)[:/]([^:]+)")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(slots=True)
class Submodules:
    """The submodules of a clone: those that were fetched, and those that were left out, with the reasons."""

    paths: list[str] = field(default_factory=list)  # fetched submodules of the repository itself
    left_out: list[str] = field(default_factory=list)  # the other submodules, each with the reason
    count: int = 0  # of all fetched submodules, nested ones too


@dataclass(frozen=True, slots=True)
class _Listed:
    name: str
    path: str
    url: str
    sha: str


async def fetch_submodules(
    work: Path, source: Source, base_url: str, environment: Mapping[str, str]
) -> Submodules:
    """Fetch the submodules below `base_url`, recursively; return notes about all. Raises RepositoryError."""
    found = Submodules()
    waiting = [(work, source.remote.url, 0)]
    while waiting:
        folder, url, depth = waiting.pop(0)
        git = Git(folder, environment)
        for listed in await _list(git, url):
            shown = str((folder / listed.path).relative_to(work))
            place = url_below(base_url, listed.url, url)
            reason = _reason_against(folder, listed, place)
            if found.count >= _MOST or depth >= _DEEPEST:
                reason = "there are too many"
            if place is None or reason is not None:
                found.left_out.append(f"{shown[:_LONGEST_NAME]}: {reason}")
                continue
            found.count += 1
            await _fetch(folder / listed.path, source, place, listed.sha, environment)
            for key, value in (("url", place), ("active", "true")):
                await git.output("config", f"submodule.{listed.name}.{key}", value, timeout=_LOCAL)
            if depth == 0:
                found.paths.append(listed.path)
            waiting.append((folder / listed.path, place, depth + 1))
    return found


def url_below(base_url: str, url: str, parent_url: str) -> str | None:
    """Return the URL to fetch a submodule from; None if it is not below `base_url`."""
    base = base_url.rstrip("/")
    if url.startswith(("./", "../")):
        url = _resolve(parent_url, url)
    elif (match := _SSH.fullmatch(url)) and match[1].lower() == urlsplit(base).hostname:
        url = f"{base}/{match[2]}"
    rest = url.rstrip("/").removeprefix(f"{base}/")
    # No segment may stand for another path after decoding or resolving.
    if not url.startswith(f"{base}/") or not all(_SEGMENT.fullmatch(part) for part in rest.split("/")):
        return None
    return f"{base}/{rest}"


def _resolve(parent: str, relative: str) -> str:
    parent = parent.rstrip("/")
    while True:
        if relative.startswith("../"):
            parent, relative = parent.rpartition("/")[0], relative[3:]
        elif relative.startswith("./"):
            relative = relative[2:]
        else:
            return f"{parent}/{relative}"


def _reason_against(folder: Path, listed: _Listed, place: str | None) -> str | None:
    if place is None:
        return "it does not lie at the repository's own host"
    parts = PurePosixPath(listed.path).parts
    if not parts or any(part in (".", "..", "/") or part.lower() == ".git" for part in parts):
        return "it has no usable path"
    if (folder / listed.path).resolve() != folder.resolve() / listed.path:
        return "its path leads through a link"
    if "\n" in listed.name or len(listed.name) > _LONGEST_NAME:
        return "it has no usable name"
    return None


async def _list(git: Git, url: str) -> Sequence[_Listed]:
    there = await git.run("cat-file", "-e", "HEAD:.gitmodules", timeout=_LOCAL)
    if there.code != 0:
        return ()
    read = await git.run(
        *("config", "--blob", "HEAD:.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.(path|url)$"),
        timeout=_LOCAL,
        limit=_LIST_BYTES,
    )
    if read.code not in (0, 1) or read.truncated:
        raise RepositoryError(f"The file .gitmodules of {url} cannot be read.")
    values: dict[str, dict[str, str]] = {}
    for entry in read.output.decode(errors="replace").split("\0"):
        key, _, value = entry.partition("\n")
        if match := _KEY.fullmatch(key):
            values.setdefault(match[1], {})[match[2]] = value
    wanted = {each["path"]: (name, each["url"]) for name, each in values.items() if len(each) == len(_PARTS)}
    if len(wanted) > _MOST_LISTED or any(len(path) > _LONGEST_PATH for path in wanted):
        raise RepositoryError(f"The file .gitmodules of {url} lists more than can be read.")
    if not wanted:
        return ()
    # The tree decides which of them exist, and at which commit.
    tree = await git.run("ls-tree", "-z", "HEAD", "--", *wanted, timeout=_LOCAL, limit=_LIST_BYTES)
    listed = []
    for entry in tree.output.decode(errors="replace").split("\0"):
        what, _, path = entry.partition("\t")
        mode, _, type_and_sha = what.partition(" ")
        if mode == _GITLINK and path in wanted:
            name, place = wanted[path]
            listed.append(_Listed(name, path, place, type_and_sha.rpartition(" ")[2]))
    return listed


async def _fetch(target: Path, source: Source, url: str, sha: str, environment: Mapping[str, str]) -> None:
    remote = Remote(url, source.remote.credential)
    await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
    git = Git(target, environment)
    await git.output("init", "--quiet", "--template=", timeout=_LOCAL)
    await git.output("remote", "add", "origin", url, timeout=_LOCAL)
    depth = ("--depth", str(source.depth)) if source.depth else ()
    result = await git.run(
        *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *depth, "--", url, sha),
        timeout=TRANSFER,
        remote=remote,
    )
    if result.code != 0:
        refuse(result, remote, f"has no commit {sha[:12]} that this submodule could be")
    await git.output("checkout", "--quiet", "--force", "--detach", sha, timeout=TRANSFER)
