"""The checkout of the current folder: which repository it is, and applying the changes of a run."""

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from taskbeacon.cli import output
from taskbeacon.cli.failures import CONFLICT, Failure, usage

# Only the server knows where that is.
_CLONED = ", from the git host of the server (TASKBEACON_GIT_BASE_URL)"
_NAME = re.compile(r"(?![.~])[^/\s]+/[^/\s]+")
# A URL, or what ssh takes (`user@host:path`).
_ADDRESS = re.compile(r"[^/:]+:")
# What a patch says of a submodule, before its changes.
_SUBMODULE = re.compile(rb"^(?:index \S+|(?:new|deleted) file mode) 160000$", re.MULTILINE)
_SECONDS = 600
# Variables that `git` must not inherit: the command is about the current folder.
_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


@dataclass(frozen=True)
class Repository:
    """A repository for a task, and the branch that is checked out."""

    name: str
    branch: str | None = None
    # Pushes the commits that the remote lacks; returns a patch of all tracked changes that it lacks.
    push: Callable[[], object] | None = None
    patch: Callable[[], bytes] = bytes


def find_repository(text: str) -> Repository:
    """Return the repository of a folder, of `organization/repository` or of a URL, with notes. Raises Failure."""
    if Path(text).is_dir():
        return Checkout(Path(text)).repository()
    if _ADDRESS.match(text):
        name = _last_parts(text)
        output.note(f"Repository {name}{_CLONED}")
        return Repository(name)
    if _NAME.fullmatch(text):
        return Repository(text)
    raise usage(f"{text} is no folder, organization/repository or URL")


def _last_parts(url: str) -> str:
    parts = [part for part in re.split(r"[/:]", url.removesuffix("/").removesuffix(".git")) if part]
    if not parts[1:]:
        raise usage(f"{url} names no organization/repository")
    return "/".join(parts[-2:])


class Checkout:
    """A checkout of git. Only `apply` and `fetch` change it."""

    def __init__(self, folder: Path = Path()) -> None:
        self._folder = folder
        top = self._try("rev-parse", "--show-toplevel")
        if top is None or not top.strip():
            raise usage(f"{folder.absolute()} is no checkout of git")
        self._folder = Path(os.fsdecode(top.removesuffix(b"\n")))

    def repository(self) -> Repository:
        remotes = self._run("remote").decode().split()
        if not remotes:
            raise usage("the checkout has no remote: name the repository by --repo organization/repository")
        if "origin" not in remotes and len(remotes) > 1:
            raise usage(f"the checkout has several remotes ({', '.join(remotes)}), and none is origin")
        remote = "origin" if "origin" in remotes else remotes[0]
        url = self._run("remote", "get-url", remote).decode().strip()
        branch = (self._try("symbolic-ref", "--quiet", "--short", "HEAD") or b"").decode().strip() or None
        name = _last_parts(url if _ADDRESS.match(url) else str((self._folder / url).resolve()))
        output.note(f"Repository {name}{f', branch {branch}' if branch else ', its default branch'}{_CLONED}")
        if self._run("status", "--porcelain", "--ignore-submodules").strip():
            output.note("Changes that are not committed stay out of it.")
        push = None
        if branch is not None:
            ahead = self._try("rev-list", "--count", "HEAD", "--not", f"--remotes={remote}")
            if ahead and ahead.strip() != b"0":
                output.note(f"Commits that are not pushed stay out of it: git push {remote} {branch}")
                push = partial(self._run, "push", "--quiet", remote, branch)
        return Repository(name, branch, push, partial(self._unpushed, remote))

    def _unpushed(self, remote: str) -> bytes:
        # The last commit of this branch that any branch of the remote has.
        listed = self._try("rev-list", "--boundary", "HEAD", "--not", f"--remotes={remote}") or b"HEAD"
        last = listed.split()[-1].removeprefix(b"-").decode()
        return self._try("diff", "--binary", "--no-ext-diff", last) or b""

    def apply(self, patch: bytes, *, three_way: bool) -> list[dict[str, Any]]:
        """Write the changes of a patch into the files; return them. Raises Failure, and nothing has changed then."""
        if not patch:
            return []
        files = self._files(patch)
        names = {name for each in files for name in (each["path"], each.get("old_path")) if name}
        known = names & self._names("ls-files")
        found = {name for name in names if os.path.lexists(self._folder / name)}
        if own := sorted((found - known) | (names & self._names("diff", "--name-only"))):
            raise _refusal(f"files of the run have changes here; commit or stash them: {', '.join(own)}")
        changes = self._run("status", "--porcelain", "--untracked-files=no", "--ignore-submodules")
        if changes and not three_way:
            raise _refusal("the checkout has changes: commit them, or use --3way")
        index = self._folder / os.fsdecode(self._run("rev-parse", "--git-path", "index").removesuffix(b"\n"))
        kept = index.read_bytes() if index.exists() else None
        places = {place for name in names for place in (Path(name), *Path(name).parents)}
        new = [self._folder / place for place in places if not os.path.lexists(self._folder / place)]
        try:
            # Staged: else a commit of what git knows would leave new files out.
            self._apply(patch, "--3way" if three_way else "--index", "--binary")
        except Failure:
            # Conflicts, and what is in the way of one file, come when others are written.
            for path in sorted(new, reverse=True):
                with suppress(OSError):
                    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            if kept is not None:
                index.write_bytes(kept)
                self._run("checkout-index", "--force", "-z", "--stdin", content="\0".join(known).encode())
            raise
        return files

    def fetch(self, pushed: str, name: str) -> None:
        """Fetch a branch that a run has pushed into a new branch, or one that it continues. Raises Failure."""
        remotes = self._run("remote").decode().split()
        remote = "origin" if "origin" in remotes or not remotes else remotes[0]
        branches = f"refs/heads/{pushed}:refs/heads/{name}"
        self._run("fetch", "--quiet", "--no-tags", "--", remote, branches)

    def _apply(self, patch: bytes, *options: str) -> None:
        done = self._git("apply", "--whitespace=nowarn", *options, "-", content=patch)
        if conflicts := re.findall(rb"^U (.*)$", done.stderr, re.MULTILINE):
            raise _refusal(f"conflicts, and nothing has changed: {', '.join(map(_path, conflicts))}")
        if done.returncode:
            raise _refusal(f"the patch does not apply: {_reason(done)}")

    def _files(self, patch: bytes) -> list[dict[str, Any]]:
        files = []
        pattern = re.compile(rb"^diff --git (.*)$((?:\n(?!diff --git ).*)*)", re.MULTILINE)
        for found in pattern.finditer(patch):
            head, rest = found[1], found[2].split(b"\n@@", 1)[0]
            if _SUBMODULE.search(rest):
                raise _refusal("the run moved a submodule, which `git apply` does not: take its --branch")
            if renamed := re.search(rb"^rename from (.*)\nrename to (.*)$", rest, re.MULTILINE):
                files.append({"status": "R", "path": _path(renamed[2]), "old_path": _path(renamed[1])})
                continue
            status = "A" if b"\nnew file mode" in rest else "D" if b"\ndeleted file mode" in rest else "M"
            name = head[len(head) // 2 + 1 :]
            files.append({"status": status, "path": _path(name)[2:]})
        return files

    def _names(self, *arguments: str) -> set[str]:
        return set(self._run(*arguments, "-z").decode(errors="replace").split("\0"))

    def _run(self, *arguments: str, content: bytes = b"") -> bytes:
        done = self._git(*arguments, content=content)
        if done.returncode:
            raise _refusal(_reason(done))
        return done.stdout

    def _try(self, *arguments: str) -> bytes | None:
        done = self._git(*arguments)
        return None if done.returncode else done.stdout

    def _git(self, *arguments: str, content: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        environment = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
        environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        command = ["git", "-C", str(self._folder), *arguments]
        try:
            return subprocess.run(  # noqa: S603 - git, without a shell
                command, env=environment, input=content, capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _refusal(f"git: {error}") from error


def _path(name: bytes) -> str:
    text = os.fsdecode(name)
    if text.startswith('"') and text.endswith('"'):
        unquoted = text[1:-1].encode().decode("unicode_escape").encode("latin-1")
        text = unquoted.decode(errors="replace")
    return text


def _reason(done: "subprocess.CompletedProcess[bytes]") -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return "; ".join(lines[:3]) or f"git failed with status {done.returncode}"


def _refusal(message: str) -> Failure:
    return Failure(message, code="not_applicable", exit_code=CONFLICT)
