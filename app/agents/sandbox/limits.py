"""Ends a run whose processes take more than the run's share of memory, processes or disk.

The limits that the kernel takes by itself (entry.py) are those of one process, and root is exempt from the one on
their number; this adds up what the whole run has: its agent, the agent's terminals, the check of its output and the git
that gathers its work. It looks more than twice a second, and at the disk every few seconds, so a run can be over its
share for that long. Memory that no process maps counts where it can be seen: in files that a process holds open, in a
`/dev/shm` of the run's own, and in sockets: each counts as the most that waits in one by default, which no program can
raise (seccomp.py), and those of TCP, whose buffers grow by themselves, as what waits in them. A file that was sent through a
socket and not received is in no process: if some are never received, each counts as the largest that a file may be.
Segments of System V are few and small (seccomp.py), 64 MiB in all.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.agents.errors import AgentError, AgentOverLimit
from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.sandbox import ConfinedProcess
from app.processes.spawning import spawn, wait_for_end

__all__ = ["RunWatch", "Usage", "measure"]

_LOGGER = structlog.get_logger(__name__)
_PAUSE_SECONDS = 0.4
_DISK_PAUSE_SECONDS = 3.0
_DISK_SECONDS = 120
# How long processes that are over the limit have for an end in good order.
_GRACE_SECONDS = 0.2
# More than this many open files of one run are a way to keep us busy.
_DESCRIPTORS = 50_000
_BLOCK = 512
_KIB = 1024
# What the kernel lets wait in a socket unless it is told otherwise (net.core.wmem_default).
_SOCKET_BYTES = 208 * _KIB
_SOCKET = "socket:"
# For so many looks in a row files must be on their way to count: programs do send some, and receive them.
_LOOKS_AT_SENT = 10
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - looked at, not written to
_GONE = " (deleted)"
_IN_MEMORY = ("/memfd:", "/dev/shm/", "/dev/zero", "/SYSV")  # noqa: S108 - names of files, not files


@dataclass(slots=True)
class Usage:
    """What processes and all below them have together."""

    processes: int = 0  # and threads
    memory_bytes: int = 0
    held_bytes: int = 0  # of files that are deleted and still open: no folder shows them
    too_many_files: bool = False
    sent_files: int = 0  # through sockets, and not received yet


class RunWatch:
    """Counts what one run has started, whatever started it, and the run's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[ConfinedProcess] = []
        self._excess = ""

    async def follow(self, process: ConfinedProcess) -> ConfinedProcess:
        """Count a process that was just started, and all below it, until it ends; return it.

        Raises AgentOverLimit if the run is over a limit already; the process is ended then.
        """
        self._processes = [each for each in self._processes if each.returncode is None]
        self._processes.append(process)
        if self._excess:
            await self._end()
            raise AgentOverLimit(self._excess)
        return process

    @asynccontextmanager
    async def limiting(self, policy: SandboxPolicy, *, disk_bytes: int | None = None) -> AsyncIterator[None]:
        """Hold the run to its limits while the body lasts; `disk_bytes` stands in for the policy's.

        Once it is over one of them, its processes are ended, the body is cancelled, and AgentOverLimit is raised.
        One at a time.
        """
        self._excess = ""
        limit = asyncio.timeout(None)
        try:
            async with limit:
                looking = asyncio.create_task(self._look(limit, policy, disk_bytes or policy.disk_bytes))
                try:
                    yield
                finally:
                    looking.cancel()
                    await asyncio.gather(looking, return_exceptions=True)
        except (TimeoutError, AgentError):
            # Without its processes the body may have failed before it was cancelled.
            if not self._excess:
                raise
        if self._excess:
            raise AgentOverLimit(self._excess)

    async def _look(self, limit: asyncio.Timeout, policy: SandboxPolicy, disk_bytes: int) -> None:
        """Look again and again until something is too much, then see to it that it ends."""
        loop = asyncio.get_running_loop()
        free_at_first = _free_bytes(self._folder)
        # Nothing fills a disk in no time, and most runs are over before the first look at it.
        look_at_disk_at = loop.time() + _DISK_PAUSE_SECONDS
        on_disk = 0
        sent = deque([0], maxlen=_LOOKS_AT_SENT)
        while not self._excess:
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                usage = await asyncio.to_thread(measure, self._pids())
                if loop.time() >= look_at_disk_at:
                    started = loop.time()
                    on_disk = await _disk_bytes(self._folder, free_at_first)
                    # A large workspace takes long to add up: that must not be all that the disk does.
                    look_at_disk_at = loop.time() + max(_DISK_PAUSE_SECONDS, 10 * (loop.time() - started))
            except Exception:
                # A machine that is out of processes or memory is when this must go on.
                _LOGGER.exception("watch.unexpected_error")
                continue
            sent.append(usage.sent_files)
            usage.memory_bytes += min(sent) * policy.file_bytes
            self._excess = _excess(usage, on_disk, policy, disk_bytes)
        if not limit.expired():
            limit.reschedule(loop.time())
        await self._end()

    def _pids(self) -> list[int]:
        return [process.pid for process in self._processes if process.returncode is None]

    async def _end(self) -> None:
        await asyncio.gather(*(process.stop(_GRACE_SECONDS) for process in self._processes))


def _excess(usage: Usage, on_disk: int, policy: SandboxPolicy, disk_bytes: int) -> str:
    """Return what is too much, "" if nothing is."""
    if usage.processes > policy.processes:
        return f"The run had more than {policy.processes} processes and threads at a time."
    if usage.memory_bytes > policy.memory_bytes:
        return f"The run used more than {_mebibytes(policy.memory_bytes)} of memory."
    if on_disk + usage.held_bytes > disk_bytes:
        return f"The run filled more than {_mebibytes(disk_bytes)} of the disk."
    if usage.too_many_files:
        return f"The run had more than {_DESCRIPTORS} files open."
    return ""


def measure(pids: Iterable[int]) -> Usage:
    """Return what processes and their descendants use now; those that end meanwhile count as nothing."""
    usage = Usage()
    files: dict[tuple[int, int], tuple[bool, int]] = {}
    sockets: dict[str, int] = {}
    shared: dict[int, int] = {}
    connections: dict[int, dict[str, int]] = {}
    seen = 0
    for process, threads in _tree(pids):
        usage.processes += threads
        usage.memory_bytes += _resident_bytes(process)
        shared |= _shared_memory(process)
        network = _network(process)
        if network is not None and network not in connections:
            connections[network] = _connections(process)
        for link, descriptor in _open_files(process):
            seen += 1
            if seen > _DESCRIPTORS:
                usage.too_many_files = True
                break
            if link.startswith(_SOCKET):
                if link not in sockets:
                    sockets[link] = _sent_files(descriptor)
            elif link.endswith(_GONE):
                with suppress(OSError):
                    status = Path(descriptor).stat()
                    if status.st_dev in shared:
                        continue
                    files[status.st_dev, status.st_ino] = (
                        link.startswith(_IN_MEMORY),
                        status.st_blocks * _BLOCK,
                    )
    usage.memory_bytes += len(sockets) * _SOCKET_BYTES + sum(shared.values())
    usage.memory_bytes += sum(
        size for rows in connections.values() for link, size in rows.items() if link in sockets
    )
    usage.sent_files = sum(sockets.values())
    usage.memory_bytes += sum(size for in_memory, size in files.values() if in_memory)
    usage.held_bytes = sum(size for in_memory, size in files.values() if not in_memory)
    return usage


def _tree(roots: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield each process from some roots downwards, with how many threads it has."""
    children: dict[int, list[int]] = {}
    threads: dict[int, int] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - twice a second, for every process of the machine
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):
                fields = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry))
                threads[int(entry)] = int(fields[17])
    waiting = [*roots]
    while waiting:
        process = waiting.pop()
        # Once: an id may come to be another process's while this looks.
        if process in threads:
            yield process, threads.pop(process)
        waiting += children.pop(process, [])


def _shared_memory(process: int) -> dict[int, int]:
    """Return how much the `/dev/shm` that a process sees holds, by its device; nothing if that is the worker's own."""
    place = f"/proc/{process}/root{_SHARED_MEMORY}"
    with suppress(OSError):
        device = os.stat(place).st_dev  # noqa: PTH116 - as above
        if device != os.stat(_SHARED_MEMORY).st_dev:  # noqa: PTH116
            status = os.statvfs(place)
            return {device: (status.f_blocks - status.f_bfree) * status.f_frsize}
    return {}


def _network(process: int) -> int | None:
    with suppress(OSError):
        return os.stat(f"/proc/{process}/ns/net").st_ino  # noqa: PTH116 - as above
    return None


def _connections(process: int) -> dict[str, int]:
    """Return what waits in each TCP socket of a process's network, by the name that links to it have."""
    waiting: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        with suppress(OSError, ValueError, IndexError):
            for line in Path(f"/proc/{process}/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                sent, received = fields[4].split(":")
                waiting[f"{_SOCKET}[{fields[9]}]"] = int(sent, 16) + int(received, 16)
    return waiting


def _sent_files(descriptor: str) -> int:
    """Return how many files wait in a socket (Linux 5.10 and later tell)."""
    with suppress(OSError, ValueError):
        for line in Path(descriptor.replace("/fd/", "/fdinfo/")).read_bytes().splitlines():
            if line.startswith(b"scm_fds:"):
                return int(line.split()[1])
    return 0


def _resident_bytes(process: int) -> int:
    """Return the memory that is a process's own, or shared without a file."""
    total = 0
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{process}/status").read_bytes().splitlines():
            if line.startswith((b"RssAnon:", b"RssShmem:", b"VmSwap:")):
                total += int(line.split()[1]) * _KIB
    return total


def _open_files(process: int) -> Iterator[tuple[str, str]]:
    """Yield the name and the place in /proc of each file that a process has open."""
    folder = f"/proc/{process}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - as above
            with suppress(OSError):
                yield os.readlink(f"{folder}/{name}"), f"{folder}/{name}"  # noqa: PTH115 - no file of that name


async def _disk_bytes(folder: Path, free_at_first: int) -> int:
    """Return what a folder takes on its disk.

    `du` and not a walk of ours: an agent can nest folders deeper than a path is long. What an agent hid from us, who
    may be no more than an ordinary user either, is estimated by what the disk has lost since.
    """
    process = await spawn(
        *("du", "-s", "-x", "--block-size=1", "--", str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_DISK_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        said = b""
    finally:
        if process.returncode is None:
            process.kill()
            await wait_for_end(process)
    measured = int(said.split()[0]) if said.split() else 0
    if process.returncode == 0:
        return measured
    # Files that vanish while they are counted make it fail too, without a loss.
    return max(measured, free_at_first - _free_bytes(folder))


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _mebibytes(size: int) -> str:
    return f"{size // 2**20} MiB"
