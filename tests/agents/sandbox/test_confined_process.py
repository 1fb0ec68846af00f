"""The end of a confined process: all that it started ends with it, whatever became of its worker."""

import asyncio
import marshal
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from app.agents.errors import SandboxUnavailable
from app.agents.sandbox import entry
from app.agents.sandbox.confinement import Streams, confined_environment
from app.enums import SandboxKind
from tests.agents.conftest import Cell, CellMaker, eventually, find_sandbox
from tests.support.marked import processes_with

pytestmark = pytest.mark.walls


async def test_stopping_ends_what_left_group_and_session(any_cell: Cell, tmp_path: Path) -> None:
    marker = f"86400.{os.getpid()}{abs(hash(tmp_path)) % 10**8}3"
    process = await any_cell.sandbox.start(
        ["sh", "-c", f"setsid setsid sleep {marker} & setsid -f sleep {marker}; sleep {marker}"],
        any_cell.confinement,
        confined_environment(os.environ),
        streams=Streams(stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL),
    )
    await eventually(lambda: len(processes_with(f"sleep\0{marker}")) == 3)

    await process.stop()

    assert processes_with(marker) == []


@pytest.mark.parametrize("kind", [SandboxKind.LANDLOCK, SandboxKind.NONE])
async def test_stopping_lets_a_slow_launcher_kill_what_left_its_group(
    make_cell: CellMaker, tmp_path: Path, kind: SandboxKind
) -> None:
    """On a busy machine the launcher was killed before it had found all processes; they outlived their run."""
    try:
        cell = make_cell(await find_sandbox(kind))
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    marker = f"86400.{os.getpid()}{abs(hash(tmp_path)) % 10**8}6"
    process = await cell.sandbox.start(
        ["sh", "-c", f"setsid -f sleep {marker}; sleep {marker}"],
        cell.confinement,
        confined_environment(os.environ),
        streams=Streams(stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL),
    )
    await eventually(lambda: len(processes_with(f"sleep\0{marker}")) == 2)
    os.kill(process.pid, signal.SIGSTOP)
    stopping = asyncio.create_task(process.stop(0))
    # The agent, which is in its group, has ended; the launcher stands still.
    await eventually(lambda: len(processes_with(f"sleep\0{marker}")) < 2)
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)
    await stopping

    assert processes_with(marker) == []


async def test_leftovers_end_with_the_command(any_cell: Cell, tmp_path: Path) -> None:
    marker = f"86400.{os.getpid()}{abs(hash(tmp_path)) % 10**8}4"

    code, _ = await any_cell.run("sh", "-c", f"setsid -f sleep {marker} >/dev/null 2>&1; exit 3")

    assert code == 3
    assert processes_with(marker) == []


async def test_agent_dies_with_a_worker_that_was_killed(any_cell: Cell, tmp_path: Path) -> None:
    marker = f"86400.{os.getpid()}{abs(hash(tmp_path)) % 10**8}5"
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from app.agents.sandbox.probing import probe\n"
        "from app.agents.agent_folders import AgentFolders\n"
        "from app.agents.sandbox.policy import Confinement, SandboxPolicy\n"
        "from app.agents.sandbox.confinement import confined_environment\n"
        "from app.enums import SandboxKind\n"
        "async def main():\n"
        f"    sandbox = await probe(SandboxPolicy(kind=SandboxKind({str(any_cell.sandbox.kind)!r})))\n"
        f"    cell = Confinement(places=AgentFolders(Path({str(any_cell.confinement.places.folder)!r})))\n"
        f"    command = ['sh', '-c', 'setsid sleep {marker} & sleep {marker}']\n"
        "    process = await sandbox.start(command, cell, confined_environment(os.environ))\n"
        "    await process.wait()\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[3]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(worker), env={**os.environ, "PYTHONPATH": str(root)}, stderr=subprocess.DEVNULL
    )
    await eventually(lambda: len(processes_with(f"sleep\0{marker}")) == 2)

    process.send_signal(signal.SIGKILL)
    await process.wait()

    await eventually(lambda: processes_with(marker) == [])


async def test_command_does_not_begin_without_its_worker(tmp_path: Path) -> None:
    """The signal at the worker's death is asked for while the sandbox is made; it may have died before."""
    begun = tmp_path / "begun"
    instructions = {
        "command": ["touch", str(begun)],
        "directory": str(tmp_path),
        "environment": dict(os.environ),
        "limits": {},
        "ports": {},
        "proxy_socket": "",
    }
    for is_alive, code in ((True, 0), (False, 126)):
        begun.unlink(missing_ok=True)
        (tmp_path / "instructions").write_bytes(marshal.dumps(instructions))
        worker, shown = os.pipe()
        if not is_alive:
            os.close(worker)
        with (tmp_path / "instructions").open("rb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", entry.__file__, str(file.fileno()), str(shown)),
                pass_fds=[file.fileno(), shown],
            )
            assert await process.wait() == code
        assert begun.exists() is is_alive
        os.close(shown)
        if is_alive:
            os.close(worker)


async def test_stop_is_repeatable_and_returns_the_exit_status(any_cell: Cell) -> None:
    process = await any_cell.sandbox.start(
        ["sh", "-c", "exit 5"], any_cell.confinement, confined_environment(os.environ)
    )
    await process.wait()

    assert [await process.stop(), await process.stop()] == [5, 5]


async def test_missing_program_is_an_exit_status(any_cell: Cell) -> None:
    code, output = await any_cell.run("no-such-program")

    assert code != 0
    assert "no-such-program" in output
