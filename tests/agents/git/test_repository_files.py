"""Repositories that the service writes without git equal those that git would have made."""

import os
import subprocess
from pathlib import Path

import pytest

from app.agents.git.repository_files import add_settings, make_repository, read_ref, write_ref
from tests.agents.conftest import GitFolder


@pytest.mark.parametrize("is_bare", [True, False])
def test_repository_has_the_settings_that_git_gives_it(tmp_path: Path, *, is_bare: bool) -> None:
    written, made = tmp_path / "written", tmp_path / "made"
    make_repository(written if is_bare else written / ".git", branch="work/one", is_bare=is_bare)
    kind = ["--bare"] if is_bare else []
    subprocess.run(
        ["git", "init", "--quiet", "--template=", "--initial-branch=work/one", *kind, str(made)],
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull},
        check=True,
    )

    ours, gits = GitFolder(written), GitFolder(made)
    for question in (
        ("config", "--local", "--list"),
        ("symbolic-ref", "HEAD"),
        ("rev-parse", "--is-bare-repository", "--show-object-format", "--git-dir"),
        ("for-each-ref",),
    ):
        assert ours.git(*question) == gits.git(*question)
    ours.git("fsck", "--strict")


def test_ref_is_read_and_moved_by_git(origin: GitFolder) -> None:
    main = origin.git("rev-parse", "main")

    write_ref(origin.path, "refs/heads/some/work", main)

    assert origin.branches() == ["main", "some/work"]
    origin.git("update-ref", "refs/heads/some/work", f"{main}~1", main)
    assert read_ref(origin.path, "refs/heads/some/work") == origin.git("rev-parse", "main~1")
    origin.git("pack-refs", "--all")
    assert read_ref(origin.path, "refs/heads/some/work") is None
    assert read_ref(origin.path, "refs/heads/some") is None
    assert read_ref(origin.path, "HEAD") is None
    assert origin.git("rev-parse", "some/work") == origin.git("rev-parse", "main~1")
    origin.git("fsck", "--strict")


def test_work_is_committed_and_cloned(tmp_path: Path) -> None:
    work = GitFolder(tmp_path / "work")
    make_repository(work.path / ".git", branch="main", is_bare=False)
    (work.path / "file").write_text("x")

    work.git("add", ".")
    work.git("commit", "--quiet", "--message", "One")
    work.git("clone", "--quiet", "--bare", ".", str(tmp_path / "copy"))

    assert GitFolder(tmp_path / "copy").branches() == ["main"]
    assert work.git("reflog", "--format=%gs") == "commit (initial): One"


@pytest.mark.parametrize(
    "value",
    [
        "Ada",
        'A "B" C',
        "back\\slash \\n",
        "  around  ",
        "a;b#c",
        "tab\tand\nline",
        "[core]\n\tbare = x",
        "Zoë ☕",
        "",
    ],
)
def test_values_are_read_as_they_were_given(tmp_path: Path, value: str) -> None:
    make_repository(tmp_path / "bare")
    add_settings(tmp_path / "bare", ("user", (("name", value), ("email", "ada@example.com"))))

    answer = subprocess.run(
        ["git", "config", "--null", "--get", "user.name"],
        cwd=tmp_path / "bare",
        capture_output=True,
        check=True,
    )
    assert answer.stdout.decode() == f"{value}\0"
    assert GitFolder(tmp_path / "bare").git("config", "user.email") == "ada@example.com"
