"""Limits of a whole run: what its processes have together, and that it ends when that is too much."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.agents.errors import AgentOverLimit, SandboxUnavailable
from app.agents.watch import measure
from app.enums import SandboxKind
from tests.agents.conftest import Outcome, Runner, find_sandbox, processes_with

MIB = 2**20


@pytest.fixture
async def limited(request: pytest.FixtureRequest, runner: Runner) -> Runner:
    """A runner with small shares; each bomb below is far over its share, and bounded."""
    try:
        sandbox = await find_sandbox(getattr(request, "param", SandboxKind.AUTO))
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    policy = replace(
        sandbox.policy, memory_bytes=256 * MIB, processes=60, disk_bytes=48 * MIB, file_bytes=512 * MIB
    )
    runner.spec = replace(runner.spec, sandbox=replace(sandbox, policy=policy))
    return runner


def python(marker: str, *lines: str) -> str:
    return "```python\n" + "\n".join((f"# {marker}", *lines)) + "\n```"


async def over(limited: Runner, program: str) -> str:
    outcome: Outcome = await limited.run(program)
    assert isinstance(outcome.failed, AgentOverLimit), outcome.failed
    told = [entry["notification"]["params"].get("message") for entry in outcome.entries]
    assert outcome.failed.message in told, "the log says it too"
    return outcome.failed.message


@pytest.mark.parametrize("limited", list(SandboxKind)[1:], indirect=True)
async def test_process_bomb_ends_the_run(limited: Runner, tmp_path: Path) -> None:
    # Other processes of the tests have folders of the same name, and their bombs at the same time.
    marker = f"bomb-{os.getpid()}-{tmp_path.name}"
    said = await over(
        limited,
        python(
            "processes",
            "import os, signal",
            "for _ in range(70):",
            "    if os.fork() == 0:",
            # A session of its own: no group holds them together.
            "        os.setsid()",
            f"        os.execvp('sh', ['sh', '-c', 'sleep 600; : {marker}'])",
            "signal.pause()",
        ),
    )
    assert said == "The run had more than 60 processes and threads at a time."
    assert processes_with(marker) == []


async def test_memory_that_many_processes_share_out_ends_the_run(limited: Runner) -> None:
    """Each is below the limit of one process, which the kernel takes."""
    said = await over(
        limited,
        python(
            "memory",
            "import os, signal",
            "for _ in range(8):",
            "    if os.fork() == 0:",
            "        kept = bytearray(os.urandom(2**20)) * 90",
            "        signal.pause()",
            "signal.pause()",
        ),
    )
    assert said == "The run used more than 256 MiB of memory."


async def test_memory_in_files_without_a_name_ends_the_run(limited: Runner) -> None:
    said = await over(
        limited,
        python(
            "memfd",
            "import os, signal",
            "kept = [os.memfd_create('x') for _ in range(8)]",
            "for descriptor in kept:",
            "    for _ in range(48):",
            "        os.write(descriptor, bytes(2**20))",
            "signal.pause()",
        ),
    )
    assert said == "The run used more than 256 MiB of memory."


@pytest.mark.parametrize(
    "place", ["'f%d' % n", "os.environ['HOME'] + '/f%d' % n", "os.environ['TMPDIR'] + '/f%d' % n"]
)
async def test_filled_disk_ends_the_run(limited: Runner, place: str) -> None:
    said = await over(
        limited,
        python(
            "disk",
            "import os, signal",
            "for n in range(12):",
            f"    open({place}, 'wb').write(bytes(8 * 2**20))",
            "signal.pause()",
        ),
    )
    assert said == "The run filled more than 48 MiB of the disk."


async def test_deleted_files_that_are_open_count(limited: Runner) -> None:
    said = await over(
        limited,
        python(
            "deleted",
            "import os, signal",
            "kept = []",
            "for n in range(12):",
            "    kept.append(open('f', 'wb', buffering=0))",
            "    os.unlink('f')",
            "    kept[-1].write(bytes(8 * 2**20))",
            "signal.pause()",
        ),
    )
    assert said == "The run filled more than 48 MiB of the disk."


async def test_files_in_folders_deeper_than_a_path_is_long_count(limited: Runner) -> None:
    said = await over(
        limited,
        python(
            "deep",
            "import os, signal",
            "for _ in range(300):",
            "    os.mkdir('d' * 50); os.chdir('d' * 50)",
            "for n in range(12):",
            "    open('f%d' % n, 'wb').write(bytes(8 * 2**20))",
            "signal.pause()",
        ),
    )
    assert said == "The run filled more than 48 MiB of the disk."


async def test_run_within_its_share_is_left_alone(limited: Runner) -> None:
    outcome = await limited.run(
        python("fine", "kept = bytearray(64 * 2**20)", "open('f', 'wb').write(bytes(2**20))")
    )
    assert outcome.done.files_changed == ["f"]


def test_process_that_is_gone_uses_nothing() -> None:
    assert measure(2**22 + 1).processes == 0
    assert measure(os.getpid()).processes > 0
    assert measure(os.getpid()).memory_bytes > MIB
