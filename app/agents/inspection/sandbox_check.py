"""Checks which protections of a sandbox hold on this machine, by attacking each from inside (sandbox_probe.py)."""

import asyncio
import ctypes
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from typing_extensions import override

from app.agents.agent_folders import AgentFolders
from app.agents.errors import SandboxUnavailable
from app.agents.inspection.sandbox_probe import (
    ATTEMPTS,
    CHANGE_MODES,
    CONNECT_BY_NAME,
    CONNECT_BY_PORT,
    SIGNAL,
    WATCH_NAMES,
    Targets,
)
from app.agents.sandbox.confinement import ABI_WITH_PORTS, ABI_WITH_SCOPES, Sandbox, confined_environment
from app.agents.sandbox.policy import Confinement
from app.agents.sandbox.probing import TEMPORARY
from app.enums import AgentNetwork, SandboxKind
from app.processes.output import last_lines
from app.processes.spawning import PLAIN_ENVIRONMENT, kill, spawn, wait_for_end

PROBE = Path(__file__).with_name("sandbox_probe.py")
# Attempted again with the network of the machine, which has the abstract sockets of the machine.
AT_FULL = f"{CONNECT_BY_NAME}, at the network level full"
_PYTHON = os.path.realpath(sys.executable)
_SECONDS = 60
_OUTPUT_BYTES = 2**20
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - this folder is the target
_IPC_PRIVATE, _IPC_CREAT, _IPC_RMID = 0, 0o1000, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The result of one attack on the sandbox from inside."""

    name: str
    obstacle: str | None  # what stopped the attempt; None: it succeeded
    excuse: str | None  # why the sandbox does not promise to stop it; None: it does promise

    @property
    def is_breached(self) -> bool:
        """Whether the attack succeeded although the sandbox promises to stop it."""
        return self.obstacle is None and self.excuse is None


async def check_sandbox(sandbox: Sandbox) -> list[Attempt]:
    """Run all attacks in a sandbox that have a target here. Raises SandboxUnavailable if they cannot be run."""
    async with stand_ins() as (root, targets):
        results = await attack(sandbox, root, targets)
        at_full = await attack(sandbox, root, targets, CONNECT_BY_NAME, network=AgentNetwork.FULL)
    excuses = _excuses(sandbox)
    return [
        Attempt(name=name, obstacle=obstacle, excuse=excuses.get(name))
        for name, obstacle in (results | {AT_FULL: at_full[CONNECT_BY_NAME]}).items()
    ]


def _excuses(sandbox: Sandbox) -> dict[str, str]:
    if sandbox.kind is SandboxKind.NONE:
        return dict.fromkeys((*ATTEMPTS, AT_FULL), "there is no sandbox")
    excuses: dict[str, str] = {}
    if sandbox.kind is SandboxKind.LANDLOCK:
        excuses[CHANGE_MODES] = "Landlock does not know modes: where the worker owns a file, so do agents"
        excuses[WATCH_NAMES] = (
            "Landlock hides what is in files, not that they are there: agents see names, sizes and times"
        )
        if sandbox.landlock_abi < ABI_WITH_PORTS:
            excuses[CONNECT_BY_PORT] = "this needs Linux 6.7"
        if sandbox.landlock_abi < ABI_WITH_SCOPES:
            excuses[SIGNAL] = "this needs Linux 6.12"
    elif sandbox.landlock_abi < ABI_WITH_SCOPES:
        excuses[AT_FULL] = "this needs Linux 6.12; a worker that is root gives no agent that level"
    return excuses


async def attack(
    sandbox: Sandbox,
    root: Path,
    targets: Targets,
    *names: str,
    program: Path = PROBE,
    network: AgentNetwork = AgentNetwork.NONE,
) -> dict[str, str | None]:
    """Run the named attempts of a program, by default all; return what stopped each, None for what succeeded."""
    confinement = Confinement(
        places=AgentFolders(root),
        readable=(Path(sys.base_prefix), program, root / "shown"),
        hidden=(root / "shown" / "hidden",),
    )
    process = await sandbox.start(
        [_PYTHON, "-I", "-S", str(program), json.dumps(targets), *names],
        confinement,
        confined_environment({}),
        network=network,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            ended = await process.finish(_OUTPUT_BYTES)
    except TimeoutError:
        raise SandboxUnavailable(f"Trying the sandbox took over {_SECONDS} s.") from None
    try:
        results: dict[str, str | None] = json.loads(ended.output)
    except ValueError:
        raise SandboxUnavailable(f"The sandbox cannot be tried: {last_lines(ended.errors)}") from None
    return results


@asynccontextmanager
async def stand_ins() -> AsyncIterator[tuple[Path, Targets]]:
    """Make targets for the attacks, and yield them with their folder; those that this machine has not are ""."""
    secret = secrets.token_hex(16)
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(TemporaryDirectory(prefix="taskbeacon-check-", dir=TEMPORARY)))
        for place in ("work", "home", "tmp", "service", "shown", "shown/hidden"):
            (root / place).mkdir(mode=0o700)
        file, hidden, path = root / "service/file", root / "shown/hidden/file", root / "service/socket"
        for each in (file, hidden):
            each.write_text(secret)
        process = await spawn("sleep", str(10 * _SECONDS), env={**PLAIN_ENVIRONMENT, "SECRET": secret})
        stack.push_async_callback(_end, process)
        ports = await stack.enter_async_context(await asyncio.start_server(_answer, "127.0.0.1", 0))
        await stack.enter_async_context(await asyncio.start_unix_server(_answer, str(path)))
        await stack.enter_async_context(await asyncio.start_unix_server(_answer, f"\0taskbeacon-{secret}"))
        datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            _Echo, local_addr=("127.0.0.1", 0)
        )
        stack.callback(datagrams.close)
        yield (
            root,
            {
                "secret": secret,
                "pid": str(process.pid),
                "file": str(file),
                "hidden": str(hidden),
                "shm": stack.enter_context(_shared_file(secret)),
                "segment_id": stack.enter_context(_system_v_memory()),
                "socket": str(path),
                "abstract": f"taskbeacon-{secret}",
                "port": str(ports.sockets[0].getsockname()[1]),
                "datagrams": str(datagrams.get_extra_info("sockname")[1]),
            },
        )


@contextmanager
def _shared_file(content: str) -> Iterator[str]:
    if not os.access(_SHARED_MEMORY, os.W_OK):
        yield ""
        return
    with NamedTemporaryFile("w", dir=_SHARED_MEMORY, prefix="taskbeacon-check-") as file:
        file.write(content)
        file.flush()
        yield file.name


@contextmanager
def _system_v_memory() -> Iterator[str]:
    libc = ctypes.CDLL(None)
    segment = libc.shmget(_IPC_PRIVATE, 4096, _IPC_CREAT | 0o600)
    try:
        yield str(segment) if segment >= 0 else ""
    finally:
        libc.shmctl(segment, _IPC_RMID, None)


async def _end(process: asyncio.subprocess.Process) -> None:
    kill(process)
    await wait_for_end(process)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"!")
    writer.close()


class _Echo(asyncio.DatagramProtocol):
    @override
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override] # as documented
        self._transport = transport

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)
