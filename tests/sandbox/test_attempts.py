"""Each attempt to leave the sandbox, made from inside: those of `taskbeacon agents --check`, and more (attempts.py)."""

import os
import secrets
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.agents.errors import SandboxUnavailable
from app.agents.inspection.sandbox_check import AT_FULL, attack, check_sandbox
from app.agents.inspection.sandbox_probe import ATTEMPTS, CHANGE_MODES, WATCH_NAMES
from app.agents.sandbox.confinement import Sandbox
from app.agents.sandbox.seccomp import system_call_filter
from app.enums import AgentNetwork, SandboxKind
from tests.agents.conftest import CellMaker, find_sandbox
from tests.sandbox.targets import all_stand_ins, write_program

pytestmark = pytest.mark.walls

CONFINING = [SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK]
# What an ordinary process may do to another of its user. The rest depends on the machine.
SOUND = {
    "read files of the service",
    "write files of the service",
    "list folders of the service",
    "read hidden folders",
    CHANGE_MODES,
    WATCH_NAMES,
    "limit the service",
    "connect to UNIX sockets by path",
    "connect to UNIX sockets by name",
    "connect to ports of the machine",
    "send datagrams to the machine",
    "read others' files in /dev/shm",
    "find others' System V memory",
    "use others' System V memory by id",
    "attach others' System V memory by id",
    "use others' System V queues by id",
    "use others' System V semaphores by id",
    "hide memory in System V memory",
    "hide memory in System V queues",
    "open others' message queues",
    "use keyrings of the service",
}
SOUND_WITH_ROOT = {"write files of the system", "write files of the system elsewhere"}
# The kernel refuses this to a process with fewer capabilities, and the service has root's.
SOUND_WITHOUT_ROOT = {"slow the service down"}


@pytest.fixture(params=CONFINING)
async def confined(request: pytest.FixtureRequest) -> Sandbox:
    try:
        return await find_sandbox(request.param)
    except SandboxUnavailable as error:
        pytest.skip(error.message)


async def make_all_attempts(sandbox: Sandbox, *, is_confined: bool) -> dict[str, str | None]:
    async with all_stand_ins() as (root, targets):
        if not is_confined:
            targets["public"] = ""  # nothing would keep it on this machine
        return await attack(sandbox, root, targets, program=write_program(root / "shown"))


async def test_sandbox_stops_every_attempt_that_it_promises_to_stop(confined: Sandbox) -> None:
    made = await make_all_attempts(confined, is_confined=True)

    assert {name for name, obstacle in made.items() if obstacle is None} == (
        {CHANGE_MODES, WATCH_NAMES} if confined.kind is SandboxKind.LANDLOCK else set()
    )
    assert len(made) >= len(ATTEMPTS) - 3


async def test_attempts_succeed_without_a_sandbox() -> None:
    made = await make_all_attempts(await find_sandbox(SandboxKind.NONE), is_confined=False)

    sound = SOUND | (SOUND_WITH_ROOT if os.geteuid() == 0 else SOUND_WITHOUT_ROOT)
    assert {name for name, obstacle in made.items() if obstacle is None} >= sound


async def test_check_names_what_holds_and_excuses_what_is_not_promised(confined: Sandbox) -> None:
    attempts = await check_sandbox(confined)

    assert [attempt for attempt in attempts if attempt.is_breached] == []
    assert {attempt.name for attempt in attempts if attempt.obstacle is None} == (
        {CHANGE_MODES, WATCH_NAMES} if confined.kind is SandboxKind.LANDLOCK else set()
    )
    assert AT_FULL in {attempt.name for attempt in attempts}


async def test_check_of_no_sandbox_excuses_everything() -> None:
    attempts = await check_sandbox(await find_sandbox(SandboxKind.NONE))

    assert {attempt.name for attempt in attempts if attempt.obstacle is None} > {AT_FULL}
    assert not any(attempt.is_breached for attempt in attempts)


@pytest.fixture(scope="session")
def file_below_etc() -> Iterator[Path]:
    path = Path("/etc") / f"taskbeacon-test-{secrets.token_hex(8)}"
    path.write_text("s3cret")
    yield path
    path.unlink()


@pytest.fixture
def private_file(file_below_etc: Path) -> Iterator[Path]:
    """A file below /etc that is made private after the sandbox was found to work.

    It is public again for a while before it goes: a sandbox that starts beside this test covers what is private, and
    cannot cover a file that vanished since it looked.
    """
    file_below_etc.chmod(0o600)
    yield file_below_etc
    file_below_etc.chmod(0o644)


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/etc", os.W_OK), reason="only root makes files in /etc"
)
async def test_file_below_etc_that_was_made_private_since_is_not_readable(
    confined: Sandbox, make_cell: CellMaker, private_file: Path
) -> None:
    code, output = await make_cell(confined).run("cat", str(private_file))

    assert code != 0 or output == ""
    assert "s3cret" not in output


NEEDED = (
    "import subprocess; subprocess.run(['true'], check=True)",
    "import os; os.posix_spawn('/bin/true', ['true'], {}); assert os.wait()[1] == 0",
    "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    "import socket; a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1)",
    "import socket; socket.if_nameindex()",
    "import socket; assert socket.getaddrinfo('localhost', 80)",
    "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "import os; os.nice(1); os.sched_setaffinity(0, os.sched_getaffinity(0))",
    "import mmap; mmap.mmap(-1, 2**20)",
    "import asyncio; asyncio.run(asyncio.create_subprocess_exec('true'))",
)


async def test_what_agents_need_still_works(confined: Sandbox, make_cell: CellMaker) -> None:
    assert await make_cell(confined).run("python3", "-c", "\n".join(NEEDED)) == (0, "\n")


async def test_debugger_of_ones_own_program_works(confined: Sandbox, make_cell: CellMaker) -> None:
    program = (
        "import ctypes, os, time\n"
        "libc = ctypes.CDLL(None)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    libc.ptrace(0, 0, None, None); os.kill(os.getpid(), 19); os._exit(0)\n"
        "assert os.WIFSTOPPED(os.waitpid(child, 0)[1])\n"
        "assert libc.ptrace(7, child, None, None) == 0\n"
        "os.waitpid(child, 0)\n"
    )
    assert await make_cell(confined).run("python3", "-c", program) == (0, "")


@pytest.mark.parametrize("kind", CONFINING)
async def test_datagrams_pass_where_the_run_has_the_network(kind: SandboxKind, make_cell: CellMaker) -> None:
    try:
        cell = make_cell(await find_sandbox(kind))
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    program = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
    assert await cell.run("python3", "-c", program, network=AgentNetwork.FULL) == (0, "")


BY_ID = ("shmat", "shmctl", "msgrcv", "msgsnd", "msgctl", "semop", "semtimedop", "semctl", "mq_unlink")
# Their numbers, as in the kernel's own tables.
NUMBERS = {
    "x86_64": (30, 31, 70, 69, 71, 65, 220, 66, 241),
    "aarch64": (196, 195, 188, 189, 187, 193, 192, 191, 181),
}
ALLOWED = 0x7FFF0000


def verdict(program: bytes, machine: str, number: int) -> int:
    """Return what a filter says to a call whose arguments are all 0."""
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    at, loaded = 0, 0
    while True:
        code, jump, other, operand = struct.unpack_from("=HBBI", program, 8 * at)
        at += 1
        match code:
            case 0x20:
                loaded = {0: number, 4: architecture}.get(operand, 0)
            case 0x54:
                loaded &= operand
            case 0x06:
                return int(operand)
            case 0x15:
                at += jump if loaded == operand else other
            case 0x25:
                at += jump if loaded > operand else other
            case 0x35:
                at += jump if loaded >= operand else other
            case _:  # 0x45
                at += jump if loaded & operand else other


@pytest.mark.parametrize("machine", NUMBERS)
def test_filter_refuses_objects_of_others_by_id_on_each_machine(machine: str) -> None:
    among_others = system_call_filter(among_others=True, machine=machine)
    alone = system_call_filter(among_others=False, machine=machine)
    assert among_others is not None
    assert alone is not None
    for name, number in zip(BY_ID, NUMBERS[machine], strict=True):
        assert verdict(among_others, machine, number) != ALLOWED, name
        assert verdict(alone, machine, number) == ALLOWED, name
    for program in (among_others, alone):
        assert verdict(program, machine, 444) != ALLOWED, "landlock_create_ruleset"
        assert verdict(program, machine, 445) == ALLOWED, "the next one"


def test_filter_is_known_for_no_other_machine() -> None:
    assert system_call_filter(among_others=True, machine="riscv64") is None


async def test_full_on_an_older_kernel_is_excused_for_an_ordinary_user() -> None:
    """What the check finds there; a worker that is root refuses it (tests/agents/network/test_network_access.py)."""
    try:
        sandbox = await find_sandbox(SandboxKind.BUBBLEWRAP)
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    [attempt] = [
        attempt
        for attempt in await check_sandbox(replace(sandbox, landlock_abi=5))
        if attempt.name == AT_FULL
    ]
    assert attempt.obstacle is None
    assert "Linux 6.12" in (attempt.excuse or "")
