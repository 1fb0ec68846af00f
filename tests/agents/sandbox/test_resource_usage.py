"""Limits of a whole run: what its processes have together, and that it ends when that is too much."""

import asyncio
import json
import os
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import landlockpy
import pytest

from app.agents.errors import AgentOverLimit, AgentTimedOut
from app.agents.sandbox.resource_usage import ProcessTable, measure
from app.agents.session.command_source import TurnPolicy
from app.enums import SandboxKind
from tests.agents.conftest import CONFINING, Outcome, Runner, eventually, in_each_sandbox, scripted_adapter
from tests.support.clock import let_time_pass
from tests.support.marked import processes_with
from tests.support.waiting import patient

pytestmark = pytest.mark.walls
MIB = 2**20
in_bubblewrap = pytest.mark.parametrize("sandbox", [SandboxKind.BUBBLEWRAP], indirect=True)


def python(marker: str, *lines: str) -> str:
    return "```python\n" + "\n".join((f"# {marker}", *lines)) + "\n```"


def with_memory(limited: Runner, size: int) -> None:
    """Limit the memory of the runs to so many bytes."""
    sandbox = limited.context.sandbox
    policy = replace(sandbox.policy, memory_bytes=size)
    limited.context = replace(limited.context, sandbox=replace(sandbox, policy=policy))


async def over(limited: Runner, program: str) -> str:
    outcome: Outcome = await limited.run(program)
    assert isinstance(outcome.failed, AgentOverLimit), outcome.failed
    logged = [entry["notification"]["params"].get("message") for entry in outcome.entries]
    assert outcome.failed.message in logged, "the log says it too"
    return outcome.failed.message


@pytest.mark.parametrize("sandbox", [*CONFINING, SandboxKind.NONE], indirect=True)
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


@in_each_sandbox
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


async def test_kernel_allows_a_run_of_its_own_users_twice_its_processes(limited: Runner) -> None:
    """It is the only limit for processes of an ordinary user that come and go faster than they are measured."""
    # Without users of its own the limit is one of all runs together.
    most = 120 if limited.context.sandbox.kind is SandboxKind.BUBBLEWRAP else 4096
    outcome = await limited.run(
        python(
            "limit",
            "import resource",
            f"assert resource.getrlimit(resource.RLIMIT_NPROC) == ({most}, {most})",
        )
    )
    assert outcome.done


@in_each_sandbox
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


@in_each_sandbox
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
    assert measure([2**22 + 1]).processes == 0
    assert measure([os.getpid()]).processes > 0
    assert measure([os.getpid()]).memory_bytes > MIB


def test_descendants_of_several_processes_are_counted_once() -> None:
    before = measure([os.getpid()]).processes
    both = measure([os.getpid(), os.getpid()]).processes
    after = measure([os.getpid()]).processes

    # Threads of this process begin and end by themselves.
    assert min(before, after) <= both <= max(before, after)


def test_runs_that_are_measured_together_look_at_the_same_processes() -> None:
    """Each read all processes of the machine for itself: ten waiting runs took a fifth of a core."""
    lasting, fresh = ProcessTable(seconds=3600), ProcessTable(seconds=0)
    own = os.getpid()
    before = {process for process, _ in lasting.tree([own])}
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid in {process for process, _ in fresh.tree([own])}
        assert {process for process, _ in lasting.tree([own])} == before
        assert measure([child.pid]).processes == 1
        assert measure([child.pid], lasting).processes == 0
    finally:
        child.kill()
        child.wait()


def in_terminals(count: int, *lines: str, waits: bool = True) -> str:
    """Return a prompt with which the scripted agent runs a program in several terminals, and waits for the last."""
    create = {"command": "python3", "args": ["-c", "\n".join(("import os, signal, time", *lines))]}
    wait = {"method": "terminal/wait_for_exit", "params": {"terminalId": "$terminal"}}
    return json.dumps(
        [*([{"method": "terminal/create", "params": create}] * count), *([wait] if waits else [])]
    )


BOMBS = {
    "The run had more than 60 processes and threads at a time.": (
        "for _ in range(24):",
        # A small program: on a slow machine, sixty copies of this one were over the limit of memory first.
        "    if os.fork() == 0: os.execlp('sleep', 'sleep', '600')",
        "signal.pause()",
    ),
    "The run used more than 256 MiB of memory.": (
        "kept = bytearray(os.urandom(2**20)) * 90",
        "signal.pause()",
    ),
}


@in_each_sandbox
@pytest.mark.parametrize("message", BOMBS, ids=["processes", "memory"])
async def test_terminals_count_together_with_their_agent(limited: Runner, message: str) -> None:
    """Each terminal alone is within the share of the run."""
    outcome = await limited.run(in_terminals(4, *BOMBS[message]), adapter=scripted_adapter("requests"))
    assert isinstance(outcome.failed, AgentOverLimit), outcome.failed
    assert outcome.failed.message == message


@in_each_sandbox
async def test_sockets_count_as_what_may_wait_in_them(limited: Runner) -> None:
    """Buffers of sockets are memory of no process and of no file."""
    said = await over(
        limited,
        python(
            "sockets",
            "import signal, socket",
            "kept = [socket.socketpair() for _ in range(800)]",
            "for one, _ in kept:",
            "    one.setblocking(False)",
            "    try:",
            "        while True: one.send(bytes(2**16))",
            "    except BlockingIOError: pass",
            "signal.pause()",
        ),
    )
    assert said == "The run used more than 256 MiB of memory."


@in_each_sandbox
async def test_buffers_of_sockets_cannot_be_made_larger(limited: Runner) -> None:
    """Data waiting in a socket counts as its default size: `net.core.wmem_max` may be much more."""
    outcome = await limited.run(
        python(
            "buffers",
            "import socket",
            "for kept in (socket.socket(), socket.socketpair()[0]):",
            "    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):",
            "        before = kept.getsockopt(socket.SOL_SOCKET, option)",
            "        kept.setsockopt(socket.SOL_SOCKET, option, 2 * before)",
            "        assert kept.getsockopt(socket.SOL_SOCKET, option) == before",
            "    kept.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)",
            "    assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1",
        )
    )
    assert outcome.done is not None


@in_bubblewrap  # Landlock leaves no TCP to an agent without the network
async def test_what_waits_in_connections_counts(limited: Runner) -> None:
    """Buffers of TCP grow by themselves, to megabytes for each pair."""
    said = await over(
        limited,
        python(
            "connections",
            "import signal, socket",
            "listener = socket.create_server(('127.0.0.1', 0), backlog=200)",
            "kept = []",
            "for _ in range(120):",
            "    one = socket.create_connection(listener.getsockname())",
            "    other, _ = listener.accept()",
            "    one.setblocking(False)",
            "    try:",
            "        while True: one.send(bytes(2**20))",
            "    except BlockingIOError: pass",
            "    kept += [one, other]",
            "signal.pause()",
        ),
    )
    assert said == "The run used more than 256 MiB of memory."


@in_each_sandbox
async def test_files_that_are_sent_and_never_received_count(limited: Runner) -> None:
    """Such files are in no process: eight of 48 MB each were nowhere to be seen."""
    said = await over(
        limited,
        python(
            "sent",
            "import os, signal, socket",
            "one, other = socket.socketpair()",
            "for _ in range(8):",
            "    descriptor = os.memfd_create('x')",
            "    for _ in range(48):",
            "        os.write(descriptor, bytes(2**20))",
            "    socket.send_fds(one, [b'.'], [descriptor])",
            "    os.close(descriptor)",
            "signal.pause()",
        ),
    )
    assert said == "The run used more than 256 MiB of memory."


@in_bubblewrap  # Landlock leaves no shared memory to an agent
async def test_shared_memory_that_nothing_maps_counts(limited: Runner) -> None:
    with_memory(limited, 128 * MIB)
    said = await over(
        limited,
        python(
            "shm",
            "import signal",
            "with open('/dev/shm/x', 'wb') as file:",
            "    for _ in range(200): file.write(bytes(2**20))",
            "signal.pause()",
        ),
    )
    assert said == "The run used more than 128 MiB of memory."


IN_MEMORY = {
    "objects that stay when their pages are given back": (
        "import mmap",
        "for _ in range(8):",
        "    kept.append(mmap.mmap(-1, 48 * 2**20))",
        "    for at in range(48): kept[-1][at * 2**20:(at + 1) * 2**20] = bytes([1]) * 2**20",
        "    kept[-1].madvise(mmap.MADV_DONTNEED)",
    ),
    "files without a name that are mapped only": (
        "import mmap",
        "for _ in range(8):",
        "    descriptor = os.memfd_create('x')",
        "    for _ in range(48): os.write(descriptor, bytes(2**20))",
        "    kept.append(closed(descriptor, 48 * 2**20))",
    ),
    "page tables": (
        "size = 160 * 2**30",
        "at = libc.mmap(None, size, 1, 0x4022, -1, 0)",  # private, anonymous, not reserved
        "libc.madvise(at, size, 15)",  # no huge pages
        "for page in range(at, at + size, 2**21): ctypes.string_at(page, 1)",
    ),
}
MAPPING = (
    "import ctypes, os, signal",
    "kept, libc = [], ctypes.CDLL(None)",
    "libc.mmap.restype, long = ctypes.c_void_p, ctypes.c_long",
    "libc.mmap.argtypes = [ctypes.c_void_p, long, ctypes.c_int, ctypes.c_int, ctypes.c_int, long]",
    "libc.madvise.argtypes = [ctypes.c_void_p, long, ctypes.c_int]",
    # mmap.mmap keeps a descriptor of its own.
    "def closed(descriptor, size):",
    "    libc.mmap(None, size, 1, 1, descriptor, 0)",
    "    os.close(descriptor)",
)


MAPPINGS = (
    "libc.mprotect.argtypes = [ctypes.c_void_p, long, ctypes.c_int]",
    "for _ in range(10):",
    "    if os.fork() == 0:",
    "        libc.prctl(4, {dumpable}, 0, 0, 0)",
    "        at = libc.mmap(None, 65_000 * 4096, 0, 0x4022, -1, 0)",
    "        for page in range(0, 65_000, 2): libc.mprotect(at + page * 4096, 4096, 1)",
    "        time.sleep(20)",
)


@in_each_sandbox
@pytest.mark.parametrize("dumpable", [1, 0], ids=["seen", "hidden"])
async def test_mappings_count_as_memory_of_the_kernel(limited: Runner, dumpable: int) -> None:
    """Nothing in them is touched: 41 processes of 10 MB each took 600 MB from the machine."""
    with_memory(limited, 128 * MIB)
    lines = (line.format(dumpable=dumpable) for line in MAPPINGS)
    said = await over(limited, python("mappings", "import time", *MAPPING, *lines, "time.sleep(20)"))

    assert said == "The run used more than 128 MiB of memory."


@pytest.mark.parametrize("sandbox", [*CONFINING, SandboxKind.NONE], indirect=True)
async def test_sets_of_rules_count_as_memory_or_cannot_be_made(limited: Runner) -> None:
    """A hundred sets of 65,536 ports took 450 MB from the machine."""
    make = (
        "handled = (ctypes.c_uint64 * 2)(0, 1)",
        "kept = [libc.syscall(444, handled, 16, 0) for _ in range(60)]",
    )
    if limited.context.sandbox.kind is SandboxKind.NONE and landlockpy.supported():
        said = await over(limited, python("rules", "import time", *MAPPING, *make, "time.sleep(20)"))
        assert said == "The run used more than 256 MiB of memory."
    else:
        outcome = await limited.run(python("rules", *MAPPING, *make, "assert set(kept) == {-1}"))
        assert outcome.done


@pytest.mark.parametrize("limited", [SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK], indirect=True)
@pytest.mark.parametrize("way", IN_MEMORY)
async def test_memory_that_no_process_shows_as_its_own_counts(limited: Runner, way: str) -> None:
    said = await over(limited, python("hidden", *MAPPING, *IN_MEMORY[way], "signal.pause()"))

    assert said == "The run used more than 256 MiB of memory."


async def test_deleted_files_that_are_mapped_only_count(limited: Runner) -> None:
    said = await over(
        limited,
        python(
            "mapped",
            *MAPPING,
            "for n in range(12):",
            "    descriptor = os.open('f', os.O_CREAT | os.O_RDWR)",
            "    os.unlink('f')",
            "    os.write(descriptor, bytes(8 * 2**20))",
            "    closed(descriptor, 8 * 2**20)",
            "signal.pause()",
        ),
    )
    assert said == "The run filled more than 48 MiB of the disk."


WITHOUT_OWNER = {
    "connections that nothing has accepted and whose client is gone": (
        "listener = socket.create_server(('127.0.0.1', 0), backlog=200)",
        "for _ in range(120):",
        "    one = socket.create_connection(listener.getsockname())",
        "    one.setblocking(False)",
        "    try:",
        "        while True: one.send(bytes(2**20))",
        "    except BlockingIOError: pass",
        "    one.close()",
    ),
    "datagrams from senders that are gone": (
        "for n in range(200):",
        "    kept.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))",
        "    kept[-1].bind('\\0r%d' % n)",
        "    for _ in range(10):",
        "        one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "        one.sendto(bytes(200_000), '\\0r%d' % n)",
        "        one.close()",
    ),
    "a socket with line breaks in its name beside memory over the limit": (
        "kept.append(socket.socket(socket.AF_UNIX))",
        "kept[-1].bind('\\0a\\nb')",
        "os.fork()",
        "kept.append(bytearray(os.urandom(2**20)) * 150)",
    ),
    "UNIX connections that nothing has accepted": (
        "listener = socket.socket(socket.AF_UNIX)",
        "listener.bind('\\0listener')",
        "listener.listen(2000)",
        "for _ in range(1500):",
        "    one = socket.socket(socket.AF_UNIX)",
        "    one.connect('\\0listener')",
        "    one.send(bytes(180_000))",
        "    one.close()",
    ),
}


@pytest.mark.parametrize("way", WITHOUT_OWNER)
async def test_sockets_that_no_process_holds_count(limited: Runner, way: str) -> None:
    if limited.context.sandbox.kind is not SandboxKind.BUBBLEWRAP:
        pytest.skip("there is no network of the run's own")
    said = await over(
        limited,
        python("orphans", "import os, signal, socket", "kept = []", *WITHOUT_OWNER[way], "signal.pause()"),
    )
    assert said == "The run used more than 256 MiB of memory."


async def test_files_without_content_in_shared_memory_count(limited: Runner) -> None:
    if limited.context.sandbox.kind is not SandboxKind.BUBBLEWRAP:
        pytest.skip("that folder is the machine's there")
    said = await over(
        limited,
        python(
            "inodes",
            "import os, signal",
            "for n in range(300_000): os.mknod('/dev/shm/%d' % n)",
            "signal.pause()",
        ),
    )
    assert said == "The run used more than 256 MiB of memory."


async def test_files_without_content_count(limited: Runner) -> None:
    said = await over(
        limited,
        python("empty", "import os, signal", "for n in range(13_000): os.mknod('%d' % n)", "signal.pause()"),
    )
    assert said == "The run filled more than 48 MiB of the disk."


@in_each_sandbox
async def test_timeout_ends_an_agent_and_its_terminals_at_once(
    limited: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They ignore what asks them to end, and do not get the time that they otherwise have for it."""
    marker = f"86400.{abs(hash(tmp_path)) % 10**9}3"
    deaf = (
        "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)",
        f"os.execvp('sleep', ['sleep', '{marker}'])",
    )
    run = asyncio.create_task(
        limited.run(
            in_terminals(3, *deaf, waits=False),
            adapter=scripted_adapter("requests_then_deaf"),
            timeout=timedelta(minutes=4),
            turns=TurnPolicy(close_seconds=3600),
        )
    )
    await eventually(lambda: len(processes_with(f"sleep\0{marker}")) == 3)
    let_time_pass(monkeypatch, minutes=4)
    async with asyncio.timeout(patient(120)):
        outcome = await run

    assert isinstance(outcome.failed, AgentTimedOut)
    assert processes_with(f"sleep\0{marker}") == []
    assert "Collecting what the agent changed" in [
        entry["notification"]["params"].get("message") for entry in outcome.entries
    ]
