"""Bare repositories, each written by one `git fast-import`: a work tree and its commits take longer than most tests."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.agents.git.repository_files import add_settings, make_repository

_AUTHOR = "Ada <ada@example.com> now"


@dataclass(frozen=True, slots=True)
class Submodule:
    """The commit of another repository, in the place of a folder."""

    commit: str


# None: the file is deleted.
Files = Mapping[str, str | Submodule | None]


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its message, and the files that it adds or changes."""

    message: str
    files: Files


def write_origin(bare: Path, commits: Iterable[Commit]) -> None:
    """Make a bare repository with these commits on `main`; without any it is empty."""
    make_repository(bare)
    # Each push would start another process, to see whether there is something to tidy.
    add_settings(bare, ("receive", [("autogc", "false")]))
    # As code hosts do: partial clones.
    add_settings(bare, ("uploadpack", [("allowFilter", "true")]))
    write_commits(bare, commits)


def write_commits(bare: Path, commits: Iterable[Commit]) -> None:
    """Add commits to `main` of a bare repository, which may have some."""
    has_some = (bare / "refs/heads/main").exists()
    stream = [_written(commit, follows=has_some and not done) for done, commit in enumerate(commits)]
    if stream:
        _git(bare, "fast-import", "--quiet", "--date-format=now", "--done", text="".join((*stream, "done\n")))


def _written(commit: Commit, *, follows: bool) -> str:
    """Return a commit as fast-import reads it; `follows`: it is the first of these, and not the first of its branch."""
    lines = [f"commit refs/heads/main\nauthor {_AUTHOR}\ncommitter {_AUTHOR}\n{_data(commit.message)}"]
    if follows:
        lines.append("from refs/heads/main^0\n")
    for path, content in commit.files.items():
        if content is None:
            lines.append(f"D {path}\n")
        elif isinstance(content, Submodule):
            lines.append(f"M 160000 {content.commit} {path}\n")
        else:
            lines.append(f"M 100644 inline {path}\n{_data(content)}")
    return "".join(lines)


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _git(folder: Path, *arguments: str, text: str = "") -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        input=text,
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    return done.stdout
