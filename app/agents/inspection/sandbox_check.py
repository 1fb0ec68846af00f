"""Checks which protections of a sandbox hold on this machine, by attacking each from inside.

The attacks are in sandbox_probe.py.
"""

import asyncio
import ctypes
import json
import os
import platform
import secrets
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from landlockpy import abi_version
from typing_extensions import override

from app.agents.errors import SandboxUnavailable
from app.agents.inspection.sandbox_probe import (
    ATTEMPTS,
    CHANGE_MODES,
    CONNECT_BY_NAME,
    CONNECT_BY_PORT,
    IPC_CREAT,
    IPC_EXCL,
    IPC_NOWAIT,
    IPC_PRIVATE,
    IPC_RMID,
    SIGNAL,
    WATCH_NAMES,
    Targets,
)
from app.agents.sandbox.policy import Confinement
from app.agents.sandbox.probing import TEMPORARY
from app.agents.sandbox.sandbox import ABI_WITH_PORTS, ABI_WITH_SCOPES, Sandbox, confined_environment
from app.enums import AgentNetwork, SandboxKind
from app.processes.reading import last_lines
from app.processes.spawning import PLAIN_ENVIRONMENT, spawn, wait_for_end
from app.shielded import shielded

PROBE = Path(__file__).with_name("sandbox_probe.py")
# Tried once more with the network of the machine, where names of sockets are the machine's too.
AT_FULL = f"{CONNECT_BY_NAME}, at the network level full"
_PYTHON = os.path.realpath(sys.executable)
_SECONDS = 60
_PRIVATE = Path("/etc/shadow")
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - this folder is the target
# Of addresses for documentation, which lead nowhere.
_PUBLIC = "192.0.2.1"
_MQ_OPEN = {"x86_64": 240, "aarch64": 180}
_MQ_UNLINK = {"x86_64": 241, "aarch64": 181}


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
        if sandbox.kind is SandboxKind.NONE:
            targets["public"] = ""  # nothing would keep it on this machine
        results = await _try(sandbox, root, targets)
        [at_full] = (await _try(sandbox, root, targets, CONNECT_BY_NAME, network=AgentNetwork.FULL)).values()
    excuses = _excuses(sandbox)
    return [
        Attempt(name=name, obstacle=obstacle, excuse=excuses.get(name))
        for name, obstacle in (results | {AT_FULL: at_full}).items()
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


async def _try(
    sandbox: Sandbox, root: Path, targets: Targets, *names: str, network: AgentNetwork = AgentNetwork.NONE
) -> dict[str, str | None]:
    confinement = Confinement(
        directory=root / "work",
        home=root / "home",
        temporary=root / "tmp",
        readable=(Path(sys.base_prefix), PROBE, root / "shown"),
        hidden=(root / "shown" / "hidden",),
    )
    process = await sandbox.start(
        [_PYTHON, "-I", "-S", str(PROBE), json.dumps(targets), *names],
        confinement,
        confined_environment({}, confinement),
        network=network,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            output, errors = await process.communicate()
    except TimeoutError:
        raise SandboxUnavailable(f"Trying the sandbox took over {_SECONDS} s.") from None
    finally:
        await shielded(process.stop())
    try:
        results: dict[str, str | None] = json.loads(output)
    except ValueError:
        reason = last_lines(errors.decode(errors="replace"))
        raise SandboxUnavailable(f"The sandbox cannot be tried: {reason}") from None
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
                "private": str(_PRIVATE) if os.access(_PRIVATE, os.R_OK) else "",
                "shm": stack.enter_context(_shared_file(secret)),
                "queue": stack.enter_context(_queue(f"taskbeacon-{secret}")),
                "socket": str(path),
                "abstract": f"taskbeacon-{secret}",
                "port": str(ports.sockets[0].getsockname()[1]),
                "datagrams": str(datagrams.get_extra_info("sockname")[1]),
                "public": _PUBLIC,
                "landlock": "yes" if abi_version() else "",
                **stack.enter_context(_system_v(secret)),
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
def _system_v(secret: str) -> Iterator[Targets]:
    """Yield the key and the id of some memory of System V, and the ids of a queue with a message and of a semaphore."""
    libc, key = ctypes.CDLL(None), secrets.randbelow(2**30) + 1
    message = struct.pack("@l", 1) + secret.encode()
    segment = libc.shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0o600)
    queue = libc.msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
    libc.msgsnd(queue, message, len(secret), IPC_NOWAIT)
    semaphore = libc.semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
    try:
        yield {
            "segment": str(key) if segment >= 0 else "",
            "segment_id": str(segment) if segment >= 0 else "",
            "queue_id": str(queue) if queue >= 0 else "",
            "semaphore_id": str(semaphore) if semaphore >= 0 else "",
        }
    finally:
        libc.shmctl(segment, IPC_RMID, None)
        libc.msgctl(queue, IPC_RMID, None)
        libc.semctl(semaphore, 0, IPC_RMID)


@contextmanager
def _queue(name: str) -> Iterator[str]:
    libc, machine = ctypes.CDLL(None), platform.machine()
    how = os.O_RDWR | os.O_CREAT | os.O_EXCL
    queue = libc.syscall(_MQ_OPEN.get(machine, -1), name.encode(), how, 0o600, None)
    if queue < 0:
        yield ""
        return
    os.close(queue)
    try:
        yield name
    finally:
        libc.syscall(_MQ_UNLINK[machine], name.encode())


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
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
