"""`--repo .` and `run apply`, in a checkout of git."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.command import Taskbeacon
from tests.client.server import PROJECT, Reply, Server, answer
from tests.client.test_command_line import DONE, PATH, RUN, RUN_ID, TASK, TASK_ID
from tests.support.assertions import concerning


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", *settings, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    origin, folder = tmp_path / "acme" / "shop.git", tmp_path / "work"
    origin.mkdir(parents=True)
    git(origin, "init", "--bare")
    git(tmp_path, "clone", "--quiet", str(origin), "work")
    (folder / "a.txt").write_text("one\n" + "same\n" * 8 + "two\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "push", "--quiet", "origin", "HEAD:main")
    monkeypatch.chdir(folder)
    return folder


def patch_of(folder: Path, change: Callable[[], object]) -> bytes:
    change()
    git(folder, "add", "--all")
    patch = subprocess.run(
        ["git", "diff", "--cached", "--binary", "-M", "HEAD"], cwd=folder, capture_output=True, check=True
    ).stdout
    git(folder, "reset", "--hard", "--quiet")
    return patch


def serve_patch(beacon: Server, patch: bytes, **output: str) -> None:
    files = [{"id": "a" * 32, "name": "changes.patch", "type": "output", "size": 3, "storage_path": "p"}]
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    beacon.on(f"GET {PATH}", answer(DONE | {"artifacts": files if patch else [], "output": output}))
    beacon.on(f"GET {PATH}/artifacts/download", Reply(body=patch))


def test_the_checkout_names_repository_and_branch(
    beacon: Server, taskbeacon: Taskbeacon, checkout: Path
) -> None:
    beacon.on(f"POST {PROJECT}/tasks", answer(TASK, 201))
    beacon.on(f"POST {PROJECT}/tasks/{TASK_ID}/run", answer(TASK))
    git(checkout, "switch", "--quiet", "-c", "topic")
    (checkout / "a.txt").write_text("changed\n")
    git(checkout, "commit", "--quiet", "-am", "second")
    (checkout / "b.txt").write_text("new\n")
    result = taskbeacon("task", "create", "Fix it", "--repo", ".", "--run")
    assert result.err.splitlines()[:3] == [
        "Repository acme/shop, branch topic, from the git host of the server (TASKBEACON_GIT_BASE_URL)",
        "Changes that are not committed stay out of it.",
        "Commits that are not pushed stay out of it: git push origin topic",
    ]
    assert beacon.at(f"POST {PROJECT}/tasks")[0].json["repository"] == "acme/shop"
    assert beacon.at(f"POST {PROJECT}/tasks/{TASK_ID}/run")[0].json["branch"] == "topic"


def test_a_folder_as_the_remote_is_named(beacon: Server, taskbeacon: Taskbeacon, checkout: Path) -> None:
    beacon.on(f"POST {PROJECT}/tasks", answer(TASK, 201))
    git(checkout, "remote", "set-url", "origin", "../remote.git")
    git(checkout, "checkout", "--quiet", "--detach")
    result = taskbeacon("task", "create", "Fix it", "--repo", ".")
    named = f"{checkout.parent.name}/remote"
    assert beacon.at(f"POST {PROJECT}/tasks")[0].json["repository"] == named
    assert f"Repository {named}, its default branch," in result.err.splitlines()[0]


def test_no_host_is_told_that_the_server_may_not_clone_from(beacon: Server, taskbeacon: Taskbeacon) -> None:
    beacon.on(f"POST {PROJECT}/tasks", answer(TASK, 201))
    for remote in (
        "git@gitlab.com:acme/shop",
        "https://git.example:8443/a/acme/shop.git",
        "file:///srv/acme/shop",
        "https://github.com/acme/shop",
    ):
        with concerning(remote):
            result = taskbeacon("task", "create", "Fix it", "--repo", remote)
            assert beacon.received[-2].json["repository"] == "acme/shop"
            line = "Repository acme/shop, from the git host of the server (TASKBEACON_GIT_BASE_URL)"
            assert result.err.splitlines() == [line]


def test_a_folder_that_is_not_there_is_no_name(taskbeacon: Taskbeacon, tmp_path: Path) -> None:
    for missing in ("./nope", "../nope", "~/nope", f"{tmp_path}/nope"):
        with concerning(missing):
            assert taskbeacon("task", "create", "Fix it", "--repo", missing).code == 2


def test_changes_are_applied(beacon: Server, taskbeacon: Taskbeacon, checkout: Path) -> None:
    def change() -> None:
        (checkout / "a.txt").rename(checkout / "c.txt")
        (checkout / "sub dir").mkdir()
        (checkout / "sub dir" / "é.bin").write_bytes(b"\0\xff")
        (checkout / "two\nlines").touch()

    serve_patch(beacon, patch_of(checkout, change))
    head = git(checkout, "rev-parse", "HEAD")
    for options in ([], ["--3way"]):
        result = taskbeacon("run", "apply", "1", *options)
        assert (result.code, result.out) == (0, "R c.txt\nA sub dir/é.bin\nA two lines\n"), result.err
        assert (checkout / "sub dir" / "é.bin").read_bytes() == b"\0\xff"
        assert git(checkout, "rev-parse", "HEAD") == head
        # Staged: a commit of what git knows has the new files too.
        assert git(checkout, "diff", "--name-only") == git(checkout, "ls-files", "--others") == ""
        git(checkout, "reset", "--hard", "--quiet")


def test_what_cannot_be_applied_changes_nothing(
    beacon: Server, taskbeacon: Taskbeacon, checkout: Path
) -> None:
    file = checkout / "a.txt"
    serve_patch(beacon, patch_of(checkout, lambda: file.write_text(file.read_text().replace("one", "ONE"))))
    file.write_text(file.read_text().replace("one", "other"))

    def state() -> tuple[str, str, bytes]:
        return git(checkout, "status", "--porcelain=v2"), git(checkout, "ls-files", "-s"), file.read_bytes()

    before = state()
    for options in ([], ["--3way"]):
        result = taskbeacon("run", "apply", "1", *options)
        assert (result.code, state()) == (7, before)
        assert "commit or stash them: a.txt" in result.err
    git(checkout, "commit", "--quiet", "-am", "other")
    before = state()
    for options in ([], ["--3way"]):
        result = taskbeacon("run", "apply", "1", *options)
        assert (result.code, state()) == (7, before), result.err
        has_conflicts = "conflicts, and nothing has changed: a.txt" in result.err
        assert has_conflicts == bool(options)
    file.write_text(file.read_text().replace("other", "one").replace("two", "2"))
    git(checkout, "commit", "--quiet", "-am", "merged by --3way")
    (checkout / "b.txt").write_text("mine\n")
    assert taskbeacon("run", "apply", "1", "--3way", "--json").lines == [
        {"applied": True, "run_id": RUN_ID, "files": [{"status": "M", "path": "a.txt"}]}
    ]
    assert file.read_text().splitlines()[::9] == ["ONE", "2"]


@pytest.mark.parametrize("options", [[], ["--3way"]])
@pytest.mark.parametrize("way", ["file", "folder", "untracked", "link"])
def test_what_is_in_the_way_of_one_file_keeps_all_as_they_were(
    beacon: Server, taskbeacon: Taskbeacon, checkout: Path, options: list[str], way: str
) -> None:
    def change() -> None:
        (checkout / "a.txt").write_text("changed\n")
        (checkout / "c" / "e").mkdir(parents=True)
        (checkout / "c" / "e" / "x").write_text("new\n")
        (checkout / "d").mkdir()
        (checkout / "d" / "x").write_text("new\n")
        (checkout / "gone.txt").unlink()
        (checkout / "z.txt").write_text("changed\n")

    (checkout / "gone.txt").write_text("gone\n")
    (checkout / "z.txt").write_text("z\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "second")
    serve_patch(beacon, patch_of(checkout, change))
    match way:
        case "file":
            (checkout / "d").write_text("mine\n")
        case "folder":
            (checkout / "d" / "x").mkdir(parents=True)
            (checkout / "d" / "x" / "y").write_text("mine\n")
        case "untracked":
            (checkout / "d").mkdir()
            (checkout / "d" / "x").write_text("mine\n")
        case _:
            (checkout / "d").symlink_to("nowhere")

    def state() -> tuple[str, str, dict[str, str]]:
        paths = [path for path in checkout.rglob("*") if ".git" not in path.relative_to(checkout).parts]
        files = {str(path): path.read_text() if path.is_file() else "" for path in paths}
        return git(checkout, "status", "--porcelain=v2"), git(checkout, "ls-files", "-s"), files

    before = state()
    result = taskbeacon("run", "apply", "1", *options)
    assert (result.code, state()) == (7, before), result.err


def test_a_tree_with_carriage_returns_or_a_submodule_is_written_or_untouched(
    beacon: Server, taskbeacon: Taskbeacon, checkout: Path
) -> None:
    unix, dos = checkout / "a.txt", checkout / "dos.txt"
    dos.write_bytes(b"one\r\ntwo\r\n")
    (checkout / ".gitattributes").write_text("dos.txt -text\n")
    origin = str(checkout.parent / "acme" / "shop.git")
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", origin, "lib")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "second")

    def edit() -> None:
        unix.write_text(unix.read_text().replace("two", "2"))
        dos.write_bytes(b"one\r\n2\r\n")

    def move() -> None:
        edit()
        (checkout / "lib" / "b.txt").touch()
        git(checkout / "lib", "add", ".")
        git(checkout / "lib", "commit", "--quiet", "-m", "elsewhere")

    edited, moved = patch_of(checkout, edit), patch_of(checkout, move)
    lib = checkout / "lib"
    git(lib, "reset", "--quiet", "--hard", "HEAD~1")
    # As git for Windows has it: carriage returns in the folder alone.
    git(checkout, "config", "core.autocrlf", "true")
    unix.unlink()
    git(checkout, "checkout", "--", "a.txt")
    assert unix.read_bytes().endswith(b"two\r\n")

    def state() -> tuple[str, bytes, bytes]:
        return git(checkout, "status", "--porcelain=v2"), unix.read_bytes(), dos.read_bytes()

    (lib / "dirty.txt").touch()
    before = state()
    for options in ([], ["--3way"]):
        with concerning(options):
            serve_patch(beacon, moved)
            result = taskbeacon("run", "apply", "1", *options)
            assert (result.code, "a submodule" in result.err, state()) == (7, True, before)
            beacon.reset()
            serve_patch(beacon, edited)
            result = taskbeacon("run", "apply", "1", *options)
            assert (result.code, result.out) == (0, "M a.txt\nM dos.txt\n"), result.err
            assert unix.read_bytes().endswith(b"same\r\n2\r\n")
            assert dos.read_bytes() == b"one\r\n2\r\n"
            git(checkout, "reset", "--quiet", "--hard")
            assert state() == before
            beacon.reset()


def test_a_pushed_branch_is_fetched(beacon: Server, taskbeacon: Taskbeacon, checkout: Path) -> None:
    git(checkout, "push", "--quiet", "origin", "HEAD:refs/heads/taskbeacon/pla-1")
    serve_patch(beacon, b"", head_branch="taskbeacon/pla-1")
    for command in ("apply", "diff"):
        assert taskbeacon("run", command, "1") == (0, "", "The run has no changes.\n")
    beacon.reset(
        f"GET {PATH}",
        answer(RUN),
        answer(RUN),
        # A `json_schema` decides the output of this one; the state has the branch.
        answer(DONE | {"output": {"head_branch": "its own"}, "state": {"head_branch": "taskbeacon/pla-1"}}),
    )
    assert taskbeacon("run", "apply", "1").err == (
        "The run is in_progress: its changes come at its end (taskbeacon run follow --close).\n"
    )
    result = taskbeacon("run", "apply", "1", "--branch", "mine")
    assert result == (0, "", "The branch mine has the work of the run.\n")
    assert git(checkout, "rev-parse", "mine") == git(checkout, "rev-parse", "HEAD")
    assert taskbeacon("run", "apply", "1", "--branch", "main").code == 7


@pytest.mark.usefixtures("checkout")
def test_apply_says_that_the_run_continues_another(beacon: Server, taskbeacon: Taskbeacon) -> None:
    serve_patch(beacon, b"")
    continued = DONE | {"artifacts": [], "state": {"resume_from_run_id": TASK_ID, "head_branch": "main"}}
    beacon.reset(f"GET {PATH}", answer(continued), answer(continued))
    note = "The run continues another: this is its own part; --branch NAME fetches all of it."
    result = taskbeacon("run", "apply", "1")
    assert result.err.splitlines() == [note, "The run has no changes."]
    assert note not in taskbeacon("run", "apply", "1", "--branch", "mine").err


def test_outside_of_a_checkout(
    taskbeacon: Taskbeacon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert taskbeacon("run", "apply", "1").code == 2
    assert taskbeacon("task", "create", "x", "--repo", ".").code == 2
