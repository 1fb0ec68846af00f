"""Names that an agent chooses, and that the kernel shows to the worker: they hide no memory from its limit."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from app.agents.errors import AgentOverLimit
from app.agents.sandbox.monitor import ResourceMonitor
from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.resource_usage import ResourceUsage, measure
from app.enums import SandboxKind
from tests.agents.conftest import Runner
from tests.agents.sandbox.test_resource_usage import MIB, over, python

pytestmark = pytest.mark.walls
NAMES = {
    "a process that is named like a size of memory": ("ctypes.CDLL(None).prctl(15, b'x\\rVmPTE:')",),
    "a process that is named like a negative size of memory": (
        "ctypes.CDLL(None).prctl(15, b'\\rRssAnon: -9999')",
    ),
    "a mapped file with a carriage return in its name": (
        "file = open('a\\rb', 'w+b')",
        "file.truncate(4096)",
        "kept = mmap.mmap(file.fileno(), 4096)",
        "os.unlink('a\\rb')",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_hostile_name_hides_no_memory(tmp_path: Path, name: str) -> None:
    lines = ("import ctypes, mmap, os, signal", *NAMES[name], "held = bytearray(b'1') * (100 * 2**20)")
    program = "\n".join((*lines, "print(flush=True)", "signal.pause()"))
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert measure([process.pid]).memory_bytes >= 100 * MIB
        finally:
            process.kill()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("sandbox", [SandboxKind.BUBBLEWRAP], indirect=True)
@pytest.mark.parametrize("name", [name for name in NAMES if "negative" not in name])
async def test_hostile_name_does_not_keep_a_run_over_its_limit(limited: Runner, name: str) -> None:
    lines = (
        "import ctypes, mmap, os, signal",
        *NAMES[name],
        "os.fork()",
        "held = bytearray(os.urandom(2**20)) * 150",
    )
    said = await over(limited, python("names", *lines, "signal.pause()"))
    assert said == "The run used more than 256 MiB of memory."


async def test_run_that_cannot_be_measured_is_ended(tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> ResourceUsage:
        raise OSError

    with pytest.raises(AgentOverLimit, match="What the run uses could not be measured"):
        async with ResourceMonitor(tmp_path, fail).enforce(SandboxPolicy(pause_seconds=0.01)):
            await asyncio.Event().wait()
