"""`taskbeacon try`: the copy that an agent works on, the one branch that the reader's checkout gets, and the prompt."""

import shlex
import subprocess
from pathlib import Path

import pytest

from app.agents.runbook.parser import parse
from app.cli.try_command import DEFAULT_PROMPT
from app.devstack.errors import DevstackError
from app.devstack.repositories import TrialRepository
from tests.devstack.launchers import clean_environment, git


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "my. project"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=trunk")
    (folder / "file").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=One")
    return folder


def test_copy_follows_the_checkout(checkout: Path, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    repository = TrialRepository(copies, str(checkout))

    assert repository.copy() == "trunk"
    assert not repository.has_changes()
    git(checkout, "commit", "--quiet", "--amend", "--message=Two")  # history may be written again
    git(checkout, "switch", "--quiet", "--create=feature")
    (checkout / "file").write_text("mine\n")

    assert TrialRepository(copies, f"{checkout}/").copy() == "feature"
    assert repository.has_changes()
    copy = copies / repository.name
    assert git(copy, "rev-parse", "HEAD") == git(checkout, "rev-parse", "HEAD")
    assert repository.name.startswith("try/my-project-")


def test_repository_is_found_by_what_people_call_it(checkout: Path, tmp_path: Path) -> None:
    (checkout / "src").mkdir()

    def named(name: str) -> str:
        return TrialRepository.find(tmp_path, name, base_url="https://git.example.com/").source

    assert named(str(checkout / "src")) == named(f"{checkout}/") == str(checkout)
    assert named("acme/shop") == "https://git.example.com/acme/shop"
    assert named("git@git.example.com:acme/shop") == "git@git.example.com:acme/shop"
    with pytest.raises(DevstackError, match="not a git repository"):
        named(str(tmp_path))


@pytest.mark.parametrize("name", ["/no/where", "./nowhere", "../nowhere", "~/no where", "nowhere"])
def test_folder_that_does_not_exist_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DevstackError, match=f"^there is no folder {name}$"):
        TrialRepository.find(tmp_path, name, base_url="https://git.example.com")


def test_detached_checkout_is_copied_to_main(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "checkout", "--quiet", "--detach")

    assert TrialRepository(tmp_path / "copies", str(checkout)).copy() == "main"


def test_branch_comes_back_and_nothing_else_happens(checkout: Path, tmp_path: Path) -> None:
    repository = TrialRepository(tmp_path / "copies", str(checkout))
    repository.copy()
    copy = tmp_path / "copies" / repository.name
    git(copy, "branch", "taskbeacon/x")
    hook = checkout / ".git" / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o700)
    before = {path: path.stat().st_mtime_ns for path in (checkout / "file", checkout / ".git" / "index")}

    hint = repository.fetch_branch("taskbeacon/x")

    assert git(checkout, *shlex.split(hint)[1:]) == ""
    assert git(checkout, "branch", "--format=%(refname:short)").split() == ["taskbeacon/x", "trunk"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not (checkout / ".git" / "FETCH_HEAD").exists()
    assert not (tmp_path / "hooked").exists()


HOSTILE = """\
[core]
    fsmonitor = {evil}
    hooksPath = {hooks}
    alternateRefsCommand = {evil}
    sshCommand = {evil}
    gitProxy = {evil}
    pager = {evil}
    editor = {evil}
    askPass = {evil}
[filter "x"]
    clean = {evil}
    smudge = {evil}
    process = {evil}
    required = true
[diff]
    external = {evil}
[diff "x"]
    textconv = {evil}
    command = {evil}
[hook "x"]
    event = reference-transaction
    command = {evil}
[pager]
    rev-parse = {evil}
    status = {evil}
    fetch = {evil}
[alias]
    status = !{evil}
    fetch = !{evil}
[protocol "ext"]
    allow = always
[url "ext::{evil} "]
    insteadOf = /
    insteadOf = file://
[uploadpack]
    packObjectsHook = {evil}
[credential]
    helper = {evil}
[gpg]
    program = {evil}
[gc]
    auto = 1
"""


@pytest.mark.parametrize("place", ["elsewhere", "in the checkout"])
def test_nothing_runs_that_the_checkout_configures(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (checkout / ".gitattributes").write_text("* filter=x diff=x\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message=Attributes")
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), "other")
    (checkout / ".git/objects/info/alternates").write_text(f"{tmp_path}/other/objects\n")
    evil, hooks = tmp_path / "evil", tmp_path / "hooks"
    evil.write_text(f"#!/bin/sh\necho $0 $@ >> {tmp_path}/ran\n")
    evil.chmod(0o700)
    hooks.mkdir()
    for name in (
        "reference-transaction",
        "post-checkout",
        "post-index-change",
        "pre-auto-gc",
        "fsmonitor-watchman",
    ):
        (hooks / name).symlink_to(evil)
    with (checkout / ".git/config").open("a") as config:
        config.write(HOSTILE.format(evil=evil, hooks=hooks))
    (checkout / "file").write_text("two\n")
    monkeypatch.chdir(checkout if place == "in the checkout" else tmp_path)
    name = "." if place == "in the checkout" else str(checkout)

    repository = TrialRepository.find(tmp_path / "copies", name, base_url="https://git.example.com")

    assert repository.copy() == "trunk"
    assert repository.has_changes()
    git(tmp_path / "copies" / repository.name, "branch", "taskbeacon/x")
    repository.fetch_branch("taskbeacon/x")
    assert (checkout / ".git/refs/heads/taskbeacon/x").exists()
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_checkout_of_a_worktree_gets_its_branch(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    repository = TrialRepository(tmp_path / "copies", str(tmp_path / "side"))

    assert (repository.copy(), repository.has_changes()) == ("side", False)
    (tmp_path / "side" / "new").touch()
    assert repository.has_changes()
    git(tmp_path / "copies" / repository.name, "branch", "taskbeacon/x")
    repository.fetch_branch("taskbeacon/x")
    assert git(checkout, "branch", "--format=%(refname:short)").split() == ["side", "taskbeacon/x", "trunk"]


def test_repository_elsewhere_is_copied_by_its_address(checkout: Path, tmp_path: Path) -> None:
    repository = TrialRepository(tmp_path / "copies", checkout.as_uri())

    assert (repository.copy(), repository.has_changes()) == ("trunk", False)
    assert repository.fetch_branch("taskbeacon/x").startswith("git fetch ")


@pytest.mark.parametrize("kind", ["no repository", "no commit", "no folder"])
def test_what_cannot_be_copied_is_named(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    if kind != "no folder":
        folder.mkdir()
    if kind == "no commit":
        git(folder, "init", "--quiet")

    with pytest.raises(DevstackError, match=f"{folder} (cannot be copied|has no commit)"):
        TrialRepository(tmp_path / "copies", str(folder)).copy()


def test_map_counts_files_with_any_name(tmp_path: Path) -> None:
    """git quotes names with other letters than ASCII: their kind was `.txt"`, and their folder began with a quote."""
    git(tmp_path, "init", "--quiet")
    for name in (
        "README",
        "dir with space/ünïcode.txt",
        "dir with space/b.txt",
        'dir with space/"q".md',
        "a\nb.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    git(tmp_path, "add", ".")
    script, said = parse(DEFAULT_PROMPT)
    assert said.kind == "say"

    subprocess.run([script.kind, "-ec", script.text], cwd=tmp_path, env=clean_environment(), check=True)

    assert (tmp_path / "REPOSITORY-MAP.md").read_text().splitlines()[2:] == [
        "- (top) (none): 1",
        "- (top) .py: 1",
        "- dir with space/ .md: 1",
        "- dir with space/ .txt: 2",
    ]
