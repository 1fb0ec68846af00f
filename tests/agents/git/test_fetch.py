"""Branch names from a git host are data: only one that git itself accepts as a name is used as one."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from app.agents.errors import BranchNotFound
from app.agents.git.fetch import Source, look_up
from app.agents.git.git_command import Git, Remote

SHA = "1" * 40
NAMES = [
    "main", "a/b", "release-1.0", "wip", "ü", "a@b", "@", "a{b", "x.lockx", "a-", "feature/#12", "a,b", "a'b", "$a",
    "", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "a..b", "../a", "a/../../b", "..", "a@{b", "a b", "a~1",
    "a^", "a:b", "a?", "a*", "[a", "a\\b", "a\x7f", "a\x01", "main^{/../../../../x}", "main:d/../../x",
]  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A program called git that answers in the place of a host: its default branch is the content of a file."""
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    (tmp_path / "name").touch()
    program.write_text(
        f'#!/bin/sh\nread -r name <"{tmp_path}/name"\n'
        f'[ "$2" = --heads ] || printf \'ref: refs/heads/%s\\tHEAD\\n\' "$name"\n'
        f"printf '{SHA}\\tHEAD\\n'\n"
    )
    program.chmod(0o755)
    return tmp_path


def is_taken(name: str) -> bool:
    return subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], check=False).returncode == 0


@pytest.mark.parametrize("name", NAMES)
async def test_default_branch_is_one_that_git_takes_for_a_name(host: Path, name: str) -> None:
    """A name becomes that of a file, and part of what git is asked."""
    (host / "name").write_text(f"{name}\n")
    git = Git(host, {"PATH": f"{host}/bin:{os.environ['PATH']}"})

    if is_taken(name):
        base = await look_up(git, Source(remote=Remote("https://host.example/x")), "work")
        assert (base.branch, base.start, base.sha) == (name, name, SHA)
    else:
        with pytest.raises(BranchNotFound, match="name the branch to start from"):
            await look_up(git, Source(remote=Remote("https://host.example/x")), "work")


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTPS_PROXY"])
async def test_proxy_of_the_worker_is_used(tmp_path: Path, name: str) -> None:
    git = Git(tmp_path, {"PATH": os.environ["PATH"], name: "http://127.0.0.1:9"})

    asked = await git.run("ls-remote", "https://host.invalid/x", timeout=timedelta(seconds=20))

    assert "127.0.0.1" in asked.errors
