"""Permissions of a confined process. Each refusal has a control that shows the attempt itself is sound."""

import asyncio
import os
import shlex
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.agents.errors import SandboxUnavailable
from app.agents.sandbox.confinement import ABI_WITH_SCOPES, confined_environment
from app.agents.sandbox.policy import SandboxPolicy
from app.enums import AgentNetwork, SandboxKind
from tests.agents.conftest import Cell, CellMaker, eventually, find_sandbox

pytestmark = pytest.mark.walls


async def test_own_places_are_writable(any_cell: Cell) -> None:
    code, output = await any_cell.run(
        "sh", "-c", 'echo 1 > here && echo 2 > "$HOME/there" && echo 3 > "$TMPDIR/where" && cat here'
    )

    assert (code, output) == (0, "1\n")
    assert (any_cell.confinement.places.home / "there").read_text() == "2\n"
    assert (any_cell.confinement.places.temporary / "where").read_text() == "3\n"


async def test_another_workspace_is_out_of_reach(cell: Cell, open_cell: Cell, tmp_path: Path) -> None:
    secret = tmp_path / "other" / "secret.txt"
    secret.parent.mkdir()
    secret.write_text("s3cret")

    assert await open_cell.run("cat", str(secret)) == (0, "s3cret")
    code, output = await cell.run("cat", str(secret))
    assert code != 0
    assert "s3cret" not in output


async def test_hidden_folder_below_a_readable_one_stays_hidden(cell: Cell, tmp_path: Path) -> None:
    program, data = tmp_path / "service", tmp_path / "service" / "data"
    data.mkdir(parents=True)
    (program / "code.py").write_text("code")
    (data / "dev.json").write_text("s3cret")
    shown = replace(cell, confinement=replace(cell.confinement, readable=(program,)))
    hidden = replace(shown, confinement=replace(shown.confinement, hidden=(data,)))

    assert await shown.run("cat", str(data / "dev.json")) == (0, "s3cret")
    assert await hidden.run("cat", str(program / "code.py")) == (0, "code")
    assert (await hidden.run("cat", str(data / "dev.json")))[0] != 0


async def test_cover_of_a_hidden_folder_takes_no_files(make_cell: CellMaker, tmp_path: Path) -> None:
    """It was in memory, and its owner could open it: files without content were limited by nothing."""
    try:
        cell = make_cell(await find_sandbox(SandboxKind.BUBBLEWRAP))
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    hidden = tmp_path / "shown" / "hidden"
    hidden.mkdir(parents=True)
    covered = replace(cell.confinement, readable=(tmp_path / "shown",), hidden=(hidden,))

    code, output = await replace(cell, confinement=covered).run(
        "sh", "-c", f"chmod 700 {hidden}; touch {hidden}/file"
    )

    assert code != 0
    assert "Read-only file system" in output


async def test_private_file_that_vanishes_before_it_is_covered_fails_no_start(
    make_cell: CellMaker, tmp_path: Path
) -> None:
    """Programs that change accounts hold /etc/passwd.lock for a moment."""
    try:
        cell = make_cell(await find_sandbox(SandboxKind.BUBBLEWRAP))
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    folder = tmp_path / "etc"
    folder.mkdir()
    cell = replace(
        cell,
        sandbox=replace(cell.sandbox, etc=folder),
        confinement=replace(cell.confinement, readable=(folder,)),
    )
    over = threading.Event()

    def come_and_go() -> None:
        lock = folder / "passwd.lock"
        while not over.wait(0.03):
            lock.touch(mode=0o600)
            over.wait(0.01)
            lock.unlink()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(come_and_go)
        try:
            results = [await cell.run("true") for _ in range(40)]
        finally:
            over.set()
        ended.result()

    assert results == [(0, "")] * 40


async def test_workspace_below_a_hidden_folder_is_there(cell: Cell, tmp_path: Path) -> None:
    hidden = replace(cell, confinement=replace(cell.confinement, readable=(tmp_path,), hidden=(tmp_path,)))

    assert await hidden.run("sh", "-c", "echo 1 > file && cat file") == (0, "1\n")


async def test_what_is_outside_cannot_be_changed(cell: Cell, open_cell: Cell, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    assert (await open_cell.run("touch", str(outside / "control")))[0] == 0
    for path in (outside / "file", Path("/usr/file"), Path(sys.prefix) / "file", Path("/etc/file")):
        assert (await cell.run("touch", str(path)))[0] != 0
        assert not path.exists()


@pytest.mark.parametrize(
    "path", ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches"]
)
async def test_switches_of_the_kernel_cannot_be_opened_for_writing(cell: Cell, path: str) -> None:
    code, output = await cell.run("python3", "-c", f"import os; os.open({path!r}, os.O_WRONLY)")

    assert code != 0
    assert "Error" in output


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user cannot read these in the first place")
async def test_what_root_owns_for_itself_is_not_readable(cell: Cell, open_cell: Cell) -> None:
    assert (await open_cell.run("head", "-c", "1", "/etc/shadow"))[0] == 0
    code, output = await cell.run("cat", "/etc/shadow")
    assert code != 0
    assert "root:" not in output


async def test_agent_is_a_user_with_a_name(make_cell: CellMaker) -> None:
    """Regression: PostgreSQL refused to start for a user without an account. Landlock leaves the worker's."""
    cell = make_cell(await find_sandbox(SandboxKind.BUBBLEWRAP))

    assert await cell.run("id", "-un") == (0, "agent\n")


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_environment_of_other_processes_is_unreadable(cell: Cell) -> None:
    service = await asyncio.create_subprocess_exec("sleep", "60", env={**os.environ, "SECRET": "s3cret"})
    try:
        read = ("sh", "-c", f"tr '\\0' '\\n' < /proc/{service.pid}/environ")
        # The kernel shows it a moment after the start.
        await eventually(lambda: b"s3cret" in environment_of(service.pid))
        code, output = await cell.run(*read)
        assert code != 0
        assert "s3cret" not in output
    finally:
        service.kill()
        await service.wait()


async def test_other_processes_cannot_be_killed(cell: Cell) -> None:
    service = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        assert (await cell.run("sh", "-c", f"kill -KILL {service.pid}"))[0] != 0
        assert service.returncode is None
    finally:
        service.kill()
        await service.wait()


@asynccontextmanager
async def loopback_server() -> AsyncIterator[int]:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_loopback_is_reached_only_with_the_network(cell: Cell) -> None:
    async with loopback_server() as port:
        connect = (
            "python3",
            "-c",
            f"import socket; print(socket.create_connection(('127.0.0.1', {port}), 5).recv(9))",
        )
        assert await cell.run(*connect, network=AgentNetwork.FULL) == (0, "b'hello'\n")
        code, output = await cell.run(*connect, network=AgentNetwork.NONE)
        assert code != 0
        assert "hello" not in output


@pytest.mark.parametrize("network", [AgentNetwork.NONE, AgentNetwork.FULL])
async def test_abstract_sockets_of_the_service_are_out_of_reach(
    cell: Cell, open_cell: Cell, tmp_path: Path, network: AgentNetwork
) -> None:
    """Also where the network is the machine's: servers there trust the user that connects, which may be root."""
    if network is AgentNetwork.FULL and cell.sandbox.landlock_abi < ABI_WITH_SCOPES:
        pytest.skip("this kernel cannot")
    name = f"\0taskbeacon-{tmp_path.name}-{os.getpid()}"
    server = await asyncio.start_unix_server(lambda _reader, writer: writer.close(), name)
    async with server:
        connect = ("python3", "-c", f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})")
        assert (await open_cell.run(*connect))[0] == 0
        assert (await cell.run(*connect, network=network))[0] != 0
        # Its own are not.
        own = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0own'); s.listen(); {0}.connect('\\0own')"
        own = own.format("socket.socket(socket.AF_UNIX)")
        if cell.sandbox.kind is SandboxKind.BUBBLEWRAP:
            assert await cell.run("python3", "-c", own, network=network) == (0, "")


LIMITED = SandboxPolicy(memory_bytes=2**26, file_bytes=2**20, open_files=32)
OVER = {
    "MemoryError": "bytearray(2**27)",
    "File too large": "open('big', 'wb').write(bytes(2**21))",
    "Too many open files": "[open('/dev/null') for _ in range(64)]",
}


async def test_process_over_a_limit_fails(any_cell: Cell) -> None:
    limited = replace(any_cell, sandbox=replace(any_cell.sandbox, policy=LIMITED))
    ignore = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    attempts = [shlex.join(("python3", "-c", f"{ignore}; {attempt}")) for attempt in OVER.values()]

    assert (await any_cell.run("sh", "-ec", "\n".join(attempts)))[0] == 0
    code, output = await limited.run("sh", "-c", f"! {' && ! '.join(attempts)}")
    assert code == 0, output
    assert [reason for reason in OVER if reason not in output] == []


async def test_no_program_regains_privileges(any_cell: Cell) -> None:
    code, output = await any_cell.run("grep", "-E", "^(CapEff|CapBnd|NoNewPrivs)", "/proc/self/status")

    assert code == 0
    values = dict(line.split(":\t") for line in output.splitlines())
    assert values["NoNewPrivs"] == "1"
    assert values["CapEff"] == "0" * 16
    if os.geteuid() == 0:
        assert values["CapBnd"] == "0" * 16


async def test_agent_goes_first_when_memory_runs_out(any_cell: Cell) -> None:
    code, output = await any_cell.run("sh", "-c", "cat /proc/self/oom_score_adj; ulimit -c")

    assert (code, output) == (0, "1000\n0\n")


def test_only_allowed_variables_are_passed_on() -> None:
    source = {"PATH": "/bin", "HOME": "/root", "SECRET": "x", "ANTHROPIC_API_KEY": "k", "LD_PRELOAD": "x.so"}

    assert confined_environment(source) == {"PATH": "/bin", "LANG": "C.UTF-8"}
