"""Processes that fork and exit in a chain end with their run: nothing that looks for their ids keeps up with them."""

import asyncio
import fcntl
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import landlockpy
import pytest

from app.agents.errors import SandboxUnavailable
from app.agents.sandbox.confinement import Streams, confined_environment
from app.enums import SandboxKind
from tests.agents.conftest import Cell, CellMaker, eventually, find_sandbox

pytestmark = pytest.mark.walls

# Eight chains, each link in a session of its own and gone after two milliseconds. Each chain is begun again by the one
# before it if it breaks. All end by themselves after 20 seconds. Any of their processes holds a lock on a file.
CHAINS = """
import fcntl, mmap, os, signal, sys, time
count, end = 8, time.monotonic() + 20
held = os.open("held", os.O_CREAT | os.O_WRONLY)
fcntl.flock(held, fcntl.LOCK_EX)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
beats = memoryview(mmap.mmap(-1, 16 * count)).cast("d")
generations = beats[count:]
for own in range(count):
    beats[own] = time.monotonic()
for own in range(count):
    if os.fork() == 0:
        break
else:
    open("begun", "w").close()
    if sys.argv[1] == "ends":
        os._exit(0)
    time.sleep(20)
    os._exit(0)
for stream in range(3):
    os.close(stream)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
generation, after = 0, (own + 1) % count
while time.monotonic() < end and generations[own] == generation:
    os.setsid()
    beats[own] = time.monotonic()
    if time.monotonic() - beats[after] > 0.25:
        beats[after] = time.monotonic()
        generations[after] += 1
        if os.fork() == 0:
            own, after, generation = after, (after + 1) % count, generations[after]
            continue
    if os.fork():
        os._exit(0)
    time.sleep(0.002)
"""


@pytest.fixture(params=[SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK, SandboxKind.NONE])
async def cell(request: pytest.FixtureRequest, make_cell: CellMaker) -> Cell:
    try:
        return make_cell(await find_sandbox(request.param))
    except SandboxUnavailable as error:
        pytest.skip(error.message)


def nothing_is_left(cell: Cell) -> bool:
    return is_free(cell.confinement.places.work / "held")


def is_free(file: Path) -> bool:
    with file.open("rb") as held, suppress(BlockingIOError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


async def test_chains_end_with_their_command(cell: Cell) -> None:
    code, output = await cell.run("python3", "-c", CHAINS, "ends")

    assert (code, output) == (0, "")
    assert nothing_is_left(cell)


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["stop", "cancellation"])
async def test_stop_ends_chains_of_processes(cell: Cell, *, is_cancelled: bool) -> None:
    process = await cell.sandbox.start(
        ["python3", "-c", CHAINS, "stays"],
        cell.confinement,
        confined_environment(os.environ),
        streams=Streams(stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL),
    )
    await eventually((cell.confinement.places.work / "begun").exists)
    assert not nothing_is_left(cell)

    if is_cancelled:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await process.stop()
        await eventually(lambda: nothing_is_left(cell))
    await process.stop()

    assert nothing_is_left(cell)


@pytest.mark.parametrize("kind", [SandboxKind.LANDLOCK, SandboxKind.NONE])
async def test_agent_cannot_end_or_stop_its_launcher(make_cell: CellMaker, kind: SandboxKind) -> None:
    """Processes in sessions of their own would be free."""
    try:
        cell = make_cell(await find_sandbox(kind))
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        code, output = await cell.run("python3", "-c", f"import os; os.kill(os.getppid(), {int(number)})")

        assert code != 0
        assert "PermissionError" in output


async def test_stop_that_is_cancelled_leaves_a_launcher_that_was_stopped_its_work(cell: Cell) -> None:
    """The launcher was killed; what had left its group went on."""
    process = await cell.sandbox.start(
        ["sh", "-c", "exec 9>held; flock 9; setsid -f sleep 600; touch begun; sleep 600"],
        cell.confinement,
        confined_environment(os.environ),
        streams=Streams(stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL),
    )
    await eventually((cell.confinement.places.work / "begun").exists)
    os.kill(process.pid, signal.SIGSTOP)

    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await process.stop()

    await eventually(lambda: nothing_is_left(cell))
    await process.stop()


@pytest.mark.skipif(
    landlockpy.abi_version() < 6, reason="before Linux 6.12 a look at /proc is the only means"
)
async def test_launcher_ends_also_what_a_look_at_proc_misses(tmp_path: Path) -> None:
    """It killed the ids that it had read; a chain of processes had others by then."""
    blind = "from app.agents.sandbox import launcher; launcher._descendants = set; launcher.main()"
    leave = f"exec 9>{tmp_path}/held; flock 9; setsid -f sleep 60"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", blind, "null", "sh", "-c", leave)

    assert await process.wait() == 0
    assert is_free(tmp_path / "held")
