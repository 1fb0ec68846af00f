"""Checks which protections of a sandbox hold on this machine, by attacking each from inside.

The attacks are in sandbox_probe.py.
"""

import asyncio
import ctypes
import json
import os
import platform
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from typing_extensions import override

from app.agents.errors import SandboxUnavailable
from app.agents.inspection.sandbox_probe import (
    ATTEMPTS,
    CHANGE_MODES,
    MQ_OPEN,
    OPEN_QUEUE,
    READ_PRIVATE,
    READ_SHARED,
    WATCH_NAMES,
)
from app.agents.sandbox.policy import Confinement
from app.agents.sandbox.probing import TEMPORARY
from app.agents.sandbox.sandbox import Sandbox, confined_environment
from app.enums import SandboxKind
from app.processes.reading import last_lines
from app.processes.spawning import PLAIN_ENVIRONMENT, spawn, wait_for_end
from app.shielded import shielded

_PROBE = Path(__file__).with_name("sandbox_probe.py")
_PYTHON = os.path.realpath(sys.executable)
_SECONDS = 60
_PRIVATE = Path("/etc/shadow")
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - this folder is the target
_IPC_CREAT, _IPC_EXCL, _IPC_RMID = 0o1000, 0o2000, 0
_MQ_UNLINK = {"x86_64": 241, "aarch64": 181}
# The attempts that a kind of sandbox does not promise to stop, and why. A kind that is absent promises to
# stop all.
_NOT_PROMISED = {
    SandboxKind.LANDLOCK: {
        CHANGE_MODES: "Landlock does not know modes: where the worker owns a file, so do agents",
        WATCH_NAMES: "Landlock hides what is in files, not that they are there: agents see names, sizes and times",
    },
    SandboxKind.NONE: dict.fromkeys(ATTEMPTS, "there is no sandbox"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The result of one attack on the sandbox from inside.

    `obstacle` says what stopped the attack; it is None if the attack succeeded. `excuse` says why this kind of
    sandbox does not promise to stop such an attack; it is None if the sandbox does promise that.
    """

    name: str
    obstacle: str | None  # what stopped the attempt; None: it succeeded
    excuse: str | None  # why the sandbox does not promise to stop it; None: it does promise

    @property
    def is_breached(self) -> bool:
        """Whether the attack succeeded although the sandbox promises to stop it."""
        return self.obstacle is None and self.excuse is None


async def check_sandbox(sandbox: Sandbox) -> list[Attempt]:
    """Run all attacks in a sandbox and return their results.

    Attacks without a target on this machine are left out. Raises SandboxUnavailable if the attacks cannot be run.
    """
    with TemporaryDirectory(prefix="taskbeacon-check-", dir=TEMPORARY) as name:
        root = Path(name)
        for place in ("work", "home", "tmp", "service"):
            (root / place).mkdir(mode=0o700)
        async with _service(root / "service") as targets:
            results = await _try(sandbox, root, targets)
    excuses = _NOT_PROMISED.get(sandbox.kind, {})
    return [
        Attempt(name=name, obstacle=results.get(name), excuse=excuses.get(name))
        for name in ATTEMPTS
        if name in results
    ]


async def _try(sandbox: Sandbox, root: Path, targets: dict[str, str]) -> dict[str, str | None]:
    confinement = Confinement(
        directory=root / "work",
        home=root / "home",
        temporary=root / "tmp",
        readable=(Path(sys.base_prefix), _PROBE),
    )
    process = await sandbox.start(
        [_PYTHON, "-I", "-S", str(_PROBE), json.dumps(targets)],
        confinement,
        confined_environment({}, confinement),
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
    for needed, name in (("private", READ_PRIVATE), ("shm", READ_SHARED), ("queue", OPEN_QUEUE)):
        if not targets[needed]:
            del results[name]  # this machine has no such target, or the worker itself cannot read it
    return results


@asynccontextmanager
async def _service(folder: Path) -> AsyncIterator[dict[str, str]]:
    """Set up a stand-in for the service: a process with a secret, files, servers and shared memory."""
    secret = secrets.token_hex(16)
    (folder / "file").write_text(secret)
    async with AsyncExitStack() as stack:
        process = await spawn("sleep", str(10 * _SECONDS), env={**PLAIN_ENVIRONMENT, "SECRET": secret})
        stack.push_async_callback(_end, process)
        ports = await stack.enter_async_context(await asyncio.start_server(_answer, "127.0.0.1", 0))
        await stack.enter_async_context(await asyncio.start_unix_server(_answer, str(folder / "socket")))
        await stack.enter_async_context(await asyncio.start_unix_server(_answer, f"\0taskbeacon-{secret}"))
        datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            _Echo, local_addr=("127.0.0.1", 0)
        )
        stack.callback(datagrams.close)
        yield {
            "secret": secret,
            "pid": str(process.pid),
            "file": str(folder / "file"),
            "private": str(_PRIVATE) if os.access(_PRIVATE, os.R_OK) else "",
            "shm": stack.enter_context(_shared_file(secret)),
            "segment": str(stack.enter_context(_segment())),
            "queue": stack.enter_context(_queue(f"taskbeacon-{secret}")),
            "socket": str(folder / "socket"),
            "abstract": f"taskbeacon-{secret}",
            "port": str(ports.sockets[0].getsockname()[1]),
            "datagrams": str(datagrams.get_extra_info("sockname")[1]),
        }


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
def _segment() -> Iterator[int]:
    """Yield the key of a System V segment."""
    libc = ctypes.CDLL(None)
    key = secrets.randbelow(2**30) + 1
    segment = libc.shmget(key, 4096, _IPC_CREAT | _IPC_EXCL | 0o600)
    try:
        yield key
    finally:
        libc.shmctl(segment, _IPC_RMID, None)


@contextmanager
def _queue(name: str) -> Iterator[str]:
    """Yield the name of a POSIX message queue, or "" if this machine has none."""
    libc, machine = ctypes.CDLL(None), platform.machine()
    how = os.O_RDWR | os.O_CREAT | os.O_EXCL
    queue = libc.syscall(MQ_OPEN.get(machine, -1), name.encode(), how, 0o600, None)
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
