"""Data that a stranger chose takes effect only inside the sandbox, by each way in and under each kind of sandbox.

The program that makes the sandbox runs as the worker: one variable there (LD_PRELOAD) would run a stranger's code in
the worker's place.
"""

import asyncio
import json
import os
from pathlib import Path

import pytest

from app.agents.adapters.catalog import load_catalog
from app.agents.errors import SandboxUnavailable
from app.agents.sandbox.confinement import Sandbox, Streams
from app.enums import SandboxKind
from app.processes.spawning import PLAIN_ENVIRONMENT
from tests.agents.conftest import Cell, CellMaker, Runner, eventually, find_sandbox, scripted_adapter

pytestmark = pytest.mark.walls

MARK = "of-a-stranger"
HOSTILE = dict.fromkeys(
    (
        *(
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "LD_DEBUG",
            "LD_DEBUG_OUTPUT",
            "GCONV_PATH",
            "GLIBC_TUNABLES",
        ),
        *("PATH", "ENV", "BASH_ENV", "IFS", "PS4", "SHELLOPTS", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME"),
        *("PYTHONINSPECT", "NODE_OPTIONS", "GIT_DIR", "GIT_EXEC_PATH", "GIT_SSH_COMMAND", "GIT_CONFIG_COUNT"),
        *("GIT_ASKPASS", "TMPDIR", "HOME", "LC_ALL", "BWRAP_OPTIONS"),
    ),
    f"/{MARK}",
)


@pytest.fixture(params=list(SandboxKind)[1:])
async def any_sandbox(request: pytest.FixtureRequest) -> Sandbox:
    try:
        return await find_sandbox(request.param)
    except SandboxUnavailable as error:
        pytest.skip(error.message)


@pytest.fixture
def cell(any_sandbox: Sandbox, make_cell: CellMaker) -> Cell:
    return make_cell(any_sandbox)


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


async def test_what_makes_the_walls_is_the_same_for_everybody(cell: Cell) -> None:
    begun = cell.confinement.places.work / "begun"
    process = await cell.sandbox.start(
        ["/bin/sh", "-c", f": > begun; {MARK}=1; read never"],
        cell.confinement,
        {**HOSTILE, "PATH": os.environ["PATH"], "LD_PRELOAD": "", "IFS": " "},
        streams=Streams(stdin=asyncio.subprocess.PIPE),
    )
    try:
        await eventually(begun.exists)
        outside = Path(f"/proc/{process.pid}")
        try:
            environment = environment_of(process.pid)
        except PermissionError:
            pytest.skip("bubblewrap hides itself from an ordinary user")
        # The shell adds what it knows of its folder.
        assert {
            name: environment[name] for name in environment if name not in ("PWD", "OLDPWD", "SHLVL", "_")
        } == (dict(PLAIN_ENVIRONMENT))
        assert MARK not in str(environment)
        assert MARK.encode() not in (outside / "cmdline").read_bytes()
        assert str((outside / "cwd").readlink()) == "/"
    finally:
        await process.stop()


async def test_agent_itself_has_what_was_chosen_for_it(cell: Cell) -> None:
    chosen = {**HOSTILE, "PATH": os.environ["PATH"], "LD_PRELOAD": "", "LD_DEBUG": "", "LD_AUDIT": ""}
    process = await cell.sandbox.start(["/usr/bin/env", "-0"], cell.confinement, chosen)
    output = (await process.finish(2**20)).output

    seen = cell.sandbox.inside(cell.confinement.places)
    own = {"HOME": str(seen.home), "TMPDIR": str(seen.temporary), "USER": "agent", "LOGNAME": "agent"}
    assert dict(entry.split("=", 1) for entry in output.decode().split("\0") if entry) == own | chosen


def trace_variables(folder: Path) -> dict[str, str]:
    """Return variables by which every program that sees them writes a file, if it can."""
    return {"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(folder / "trace")}


def traces(folder: Path) -> list[str]:
    return [path.read_text(errors="replace") for path in folder.glob("trace.*")]


async def run_by_terminal(runner: Runner, sandbox: Sandbox, variables: dict[str, str]) -> None:
    env = [{"name": name, "value": value} for name, value in variables.items()]
    requests = [
        {"method": "terminal/create", "params": {"command": "true", "args": ["x"], "env": env}},
        {"method": "terminal/wait_for_exit", "params": {"terminalId": "$terminal"}},
    ]
    outcome = await runner.run(json.dumps(requests), adapter=scripted_adapter("requests"), sandbox=sandbox)
    assert json.loads(outcome.done.summary)[1] == {"exitCode": 0}


async def run_by_environment(runner: Runner, sandbox: Sandbox, variables: dict[str, str]) -> None:
    assert (await runner.run("```say\nhi\n```", sandbox=sandbox, variables=variables)).done


async def run_by_adapter(runner: Runner, sandbox: Sandbox, variables: dict[str, str]) -> None:
    """An operator's adapter that passes on a name, for which a project's environment has a value."""
    adapter = load_catalog().find("runbook").model_copy(update={"environment": tuple(variables)})
    assert (await runner.run("```say\nhi\n```", sandbox=sandbox, variables=variables, adapter=adapter)).done


@pytest.mark.parametrize("way", [run_by_terminal, run_by_environment, run_by_adapter])
async def test_variables_of_a_stranger_reach_no_program_outside(
    runner: Runner, tmp_path: Path, any_sandbox: Sandbox, way: object
) -> None:
    assert callable(way)
    await way(runner, any_sandbox, trace_variables(tmp_path))

    traced = traces(tmp_path)
    # Without a sandbox the agent itself leaves a trace there; what comes before it must not.
    assert not any("launcher.py" in text or "entry.py" in text or "bwrap" in text for text in traced)
    if any_sandbox.kind is not SandboxKind.NONE:
        assert traced == []


async def test_files_of_a_workspace_are_not_executed_outside(cell: Cell, tmp_path: Path) -> None:
    """Programs outside start in a folder that belongs to no run, and are found by full paths."""
    work = cell.confinement.places.work
    for name in (
        "sh",
        "bwrap",
        "python3",
        "json.py",
        "os.py",
        "marshal.py",
        "resource.py",
        "sitecustomize.py",
    ):
        trap = work / name
        trap.write_text(
            f"#!/bin/sh\ntouch {tmp_path}/outside\n"
            if "." not in name
            else f"open({str(tmp_path / 'outside')!r}, 'w')\n"
        )
        trap.chmod(0o755)

    process = await cell.sandbox.start(
        ["/bin/echo", "fine"], cell.confinement, {"PATH": f"{work}:.", "PYTHONPATH": str(work)}
    )
    ended = await process.finish(2**20)

    assert (ended.code, ended.output) == (0, b"fine\n")
    assert not (tmp_path / "outside").exists()
