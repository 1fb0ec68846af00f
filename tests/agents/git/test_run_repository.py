"""git in unusual cases: remotes that are missing, branches, credentials, pushes."""

import asyncio
import base64
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from app.agents.errors import (
    BranchNotFound,
    PathRefused,
    PushRejected,
    RepositoryAccessDenied,
    RepositoryError,
    RepositoryNotFound,
    RepositoryUnreachable,
)
from app.agents.execution.run_context import RunEffects
from app.agents.execution.run_steps import perform
from app.agents.git.askpass import Credential
from app.agents.git.git_command import Git, Remote
from app.agents.git.run_repository import Repository
from app.processes.spawning import PLAIN_ENVIRONMENT
from tests.agents.conftest import PUSH_BRANCH, GitFolder, NoCommands, Runner, make_origin

WORK = "```sh\necho x > x\n```"


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("file:///nonexistent/repo.git", RepositoryNotFound, "from TASKBEACON_GIT_BASE_URL"),
        ("http://127.0.0.1:9/org/repo", RepositoryUnreachable, "cannot be reached"),
        ("ext::sh -c 'touch pwned'", RepositoryError, "not allowed"),
        ("--upload-pack=touch pwned", RepositoryError, "not"),
    ],
)
async def test_remotes_that_cannot_be_cloned(
    runner: Runner, url: str, error: type[RepositoryError], message: str
) -> None:
    outcome = await runner.run(WORK, clone_url=url)

    assert isinstance(outcome.failed, error)
    assert message in outcome.failed.message
    assert outcome.failed.partial is None


async def test_git_of_the_worker_may_have_a_gibibyte_of_memory(tmp_path: Path) -> None:
    """Memory of the worker: 100 MB of empty lines cost 4.3 GB."""
    git = Git(tmp_path, os.environ)

    said = await git.output("interpret-trailers", "/proc/self/limits", timeout=timedelta(seconds=60))

    assert f"Max data size {2**30} {2**30} bytes" in re.sub(" +", " ", said)


@pytest.mark.parametrize("branch", ["nope", "*", "ma*", "-x", "main:x", "main..x", ""])
async def test_missing_branch_is_named(runner: Runner, branch: str) -> None:
    outcome = await runner.run(WORK, base_branch=branch)

    assert isinstance(outcome.failed, BranchNotFound)
    assert f"no branch '{branch}'" in outcome.failed.message


async def test_remote_without_its_default_branch_asks_for_a_name(runner: Runner, origin: GitFolder) -> None:
    origin.git("symbolic-ref", "HEAD", "refs/heads/gone")

    outcome = await runner.run(WORK)

    assert isinstance(outcome.failed, BranchNotFound)
    assert "name the branch" in outcome.failed.message


async def test_rejected_push_says_what_the_remote_said(runner: Runner, origin: GitFolder) -> None:
    hook = origin.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'no pushes on Fridays' >&2\nexit 1\n")
    hook.chmod(0o755)

    outcome = await runner.run(WORK)

    assert isinstance(outcome.failed, PushRejected)
    assert "no pushes on Fridays" in outcome.failed.message
    assert outcome.failed.partial is not None
    assert outcome.failed.partial.files_changed == ["x"]
    assert outcome.failed.partial.head_branch is None


async def test_branch_that_another_person_pushed_meanwhile_is_not_overwritten(
    runner: Runner, origin: GitFolder
) -> None:
    async def emit(entry: dict[str, object]) -> None:
        if "Starting the agent" in str(entry):
            origin.git("branch", PUSH_BRANCH, "main~1")

    with pytest.raises(PushRejected, match="stale info"):
        await perform(runner.prepare(WORK), RunEffects(emit=emit, commands=NoCommands()))

    assert origin.git("rev-parse", PUSH_BRANCH) == origin.git("rev-parse", "main~1")


async def test_base_branch_is_never_pushed_to(runner: Runner, origin: GitFolder) -> None:
    main = origin.git("rev-parse", "main")

    outcome = await runner.run(WORK, push_branch="main")

    assert outcome.failed is not None
    assert origin.git("rev-parse", "main") == main


async def test_clone_that_cannot_be_copied_fails_the_run_and_says_why(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/cp"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setitem(PLAIN_ENVIRONMENT, "PATH", f"{program.parent}:{os.environ['PATH']}")

    outcome = await runner.run(WORK)

    assert isinstance(outcome.failed, RepositoryError)
    assert "cannot be copied: no space left" in outcome.failed.message


async def test_renamed_file_is_one_changed_file(runner: Runner) -> None:
    outcome = await runner.run("```sh\ngit mv file0.txt moved.txt\n```")

    assert outcome.done.files_changed == ["moved.txt"]


async def test_repository_that_git_itself_has_made_is_worked_on(
    runner: Runner, origin: GitFolder, tmp_path: Path
) -> None:
    made = GitFolder(tmp_path / "made")
    origin.git("clone", "--quiet", "--bare", ".", str(made.path))
    assert (made.path / "packed-refs").exists()

    outcome = await runner.run(WORK, clone_url=made.url)

    assert outcome.done.files_changed == ["x"]
    assert made.branches() == ["main", PUSH_BRANCH]


async def test_commit_without_files_is_worked_on(runner: Runner, origin: GitFolder) -> None:
    """Regression: looking for checks in it was an unexpected error."""
    empty = origin.git("commit-tree", origin.git("mktree"), "-m", "Nothing yet")
    origin.git("update-ref", "refs/heads/main", empty)

    outcome = await runner.run(WORK, clone_url=origin.url)

    assert outcome.done.files_changed == ["x"]


@pytest.mark.parametrize("where", [".taskbeacon", ".taskbeacon/attachments"])
async def test_repository_that_has_our_folder_as_a_file_is_refused(
    runner: Runner, tmp_path: Path, where: str
) -> None:
    odd = make_origin(tmp_path / "odd", {where: "a file"})

    outcome = await runner.run(WORK, clone_url=odd.url)

    assert isinstance(outcome.failed, PathRefused)


@asynccontextmanager
async def http_server(status: str, requests: list[str], *, location: str | None = None) -> AsyncIterator[int]:
    """Serve a host that asks for credentials, and answers the right ones with this response (or redirects at once)."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        requests.append(head)
        path = head.split()[1]
        lines = [f"HTTP/1.1 {status if 'Authorization: ' in head else '401 Unauthorized'}"]
        if location is not None:
            lines = ["HTTP/1.1 302 Found", f"Location: {location}{path}"]
        lines += ["WWW-Authenticate: Basic realm=x", "Content-Length: 0", "Connection: close", "", ""]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("401 Unauthorized", RepositoryAccessDenied),
        ("403 Forbidden", RepositoryAccessDenied),
        ("404 Not Found", RepositoryNotFound),
        ("503 Service Unavailable", RepositoryUnreachable),
    ],
)
async def test_credentials_reach_the_remote_and_nothing_else(
    runner: Runner, status: str, error: type[RepositoryError]
) -> None:
    requests: list[str] = []
    async with http_server(status, requests) as port:
        outcome = await runner.run(WORK, clone_url=f"http://bot:s3cr%40t@127.0.0.1:{port}/org/repo")

    token = base64.b64encode(b"bot:s3cr@t").decode()
    assert "Authorization" not in requests[0]
    assert f"Authorization: Basic {token}" in requests[1]
    assert isinstance(outcome.failed, error)
    assert "s3cr" not in outcome.failed.message + str(outcome.entries)
    assert f"http://127.0.0.1:{port}/org/repo" in outcome.failed.message


async def test_credentials_do_not_follow_a_redirect_to_another_host(runner: Runner) -> None:
    asked: list[str] = []
    async with http_server("403 Forbidden", asked) as other:
        away = http_server("", [], location=f"http://127.0.0.1:{other}")
        async with away as port:
            outcome = await runner.run(WORK, clone_url=f"http://bot:s3cret@127.0.0.1:{port}/org/repo")

    assert isinstance(outcome.failed, RepositoryError)
    assert asked
    assert not [request for request in asked if "Authorization" in request]


async def test_remote_that_wants_credentials_we_do_not_have_is_not_found(runner: Runner) -> None:
    async with http_server("401 Unauthorized", []) as port:
        outcome = await runner.run(WORK, clone_url=f"http://127.0.0.1:{port}/org/repo")

    assert isinstance(outcome.failed, RepositoryNotFound)
    assert "needs credentials" in outcome.failed.message


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        ("https://host/a.git", "https://host/a.git", None),
        ("https://u:p@host:8443/a.git", "https://host:8443/a.git", ("u", "p")),
        ("https://tok%2Fen@host/a", "https://host/a", ("tok/en", "")),
        ("http://u:p%40ss@host/a", "http://host/a", ("u", "p@ss")),
        ("ssh://git@host/a.git", "ssh://git@host/a.git", None),
        ("git@host:a.git", "git@host:a.git", None),
        ("file:///srv/a.git", "file:///srv/a.git", None),
    ],
)
def test_urls_are_split_from_their_credentials(url: str, shown: str, secret: tuple[str, str] | None) -> None:
    assert Remote.parse(url) == Remote(shown, Credential(*secret) if secret else None)
    assert repr(Remote.parse(url).credential) in ("None", "Credential()")


async def test_command_that_takes_too_long_is_named_without_its_settings(tmp_path: Path) -> None:
    """Regression: the error of a run said that "git -c" took too long."""
    with pytest.raises(RepositoryUnreachable, match=r"^git hash-object took over 0 s\.$"):
        await Git(tmp_path, os.environ).run(
            "-c", "core.abbrev=7", "hash-object", "/dev/zero", timeout=timedelta()
        )


async def test_texts_of_a_damaged_repository_are_left_out(tmp_path: Path) -> None:
    """Regression: git ends at the damaged blob, and reading what it had not printed failed the run."""
    repository = Repository(tmp_path / "repository", os.environ, 2**29)
    repository.create()
    git, minute = Git(repository.folder, os.environ), timedelta(minutes=1)
    blobs = {}
    for name in ("damaged", "whole"):
        (tmp_path / name).write_text(f"{name}\n" * 1000)
        blobs[name] = await git.output("hash-object", "-w", str(tmp_path / name), timeout=minute)
    assert await repository.texts(blobs) == {name: f"{name}\n" * 1000 for name in blobs}

    damaged = repository.folder / "objects" / blobs["damaged"][:2] / blobs["damaged"][2:]
    content = damaged.read_bytes()
    damaged.chmod(0o600)
    damaged.write_bytes(content[: len(content) // 2])

    assert await repository.texts(blobs) == {}
