"""Measures the resource usage of processes and all their descendants, from /proc.

Memory that no process maps is counted where it is visible: in open files, in a `/dev/shm` of the run's own,
and in sockets. A socket counts with the default size of its buffer, which no program can raise (seccomp.py);
a TCP socket, with buffers that grow by themselves, with the bytes that wait in it. Segments of System V are
not counted: few and small (seccomp.py), 64 MiB in all.
"""

import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

# More open files than this would make each measurement too slow.
MAX_DESCRIPTORS = 50_000
_BLOCK = 512
_KIB = 1024
# The default buffer of a socket (net.core.wmem_default).
_SOCKET_BYTES = 208 * _KIB
_SOCKET = "socket:"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - looked at, not written to
_GONE = " (deleted)"
_IN_MEMORY = ("/memfd:", "/dev/shm/", "/dev/zero", "/SYSV")  # noqa: S108 - names of files, not files


@dataclass(slots=True)
class ResourceUsage:
    """The resources that a set of processes and all their descendants use together."""

    processes: int = 0  # and threads
    memory_bytes: int = 0
    held_bytes: int = 0  # of deleted files that are still open, which are in no folder
    too_many_files: bool = False
    sent_files: int = 0  # through sockets, not yet received


class ProcessTable:
    """The processes of the machine with their children and threads. Thread-safe; all runs of a worker share it.

    It is read from /proc again only when it is older than `seconds`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._reading = Lock()
        self._read_at = -math.inf
        # The children and the number of threads of each process.
        self._children: dict[int, list[int]] = {}
        self._threads: dict[int, int] = {}

    def tree(self, roots: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Yield the ids of the processes `roots` and of all their descendants, each once, with its number of threads.

        Processes that have ended are left out. Thread-safe.
        """
        with self._reading:
            if time.monotonic() - self._read_at >= self._seconds:
                self._read()
            children, threads = self._children, self._threads
        waiting, seen = [*roots], set[int]()
        while waiting:
            process = waiting.pop()
            # An id may be reused by another process meanwhile.
            if process in seen:
                continue
            seen.add(process)
            if process in threads:
                yield process, threads[process]
            waiting += children.get(process, ())

    def _read(self) -> None:
        began = time.monotonic()
        children: dict[int, list[int]] = {}
        threads: dict[int, int] = {}
        for entry in os.listdir("/proc"):  # noqa: PTH208 - several times a second, for every process of the machine
            if entry.isdigit():
                with suppress(OSError, ValueError, IndexError):
                    fields = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()
                    children.setdefault(int(fields[1]), []).append(int(entry))
                    threads[int(entry)] = int(fields[17])
        self._children, self._threads, self._read_at = children, threads, began


def measure(pids: Iterable[int], table: ProcessTable | None = None) -> ResourceUsage:
    """Return the resources that these processes and all their descendants use together. Ended processes use none.

    Args:
        pids: the ids of the processes.
        table: the processes of the machine, to find the descendants; if None, they are read now.

    """
    usage = ResourceUsage()
    files: dict[tuple[int, int], tuple[bool, int]] = {}
    sockets: dict[str, int] = {}
    shared: dict[int, int] = {}
    networks: dict[int, int] = {}
    seen = 0
    for process, threads in (table or ProcessTable(0)).tree(pids):
        usage.processes += threads
        usage.memory_bytes += _resident_bytes(process)
        shared |= _shared_memory(process)
        network = _network(process)
        if network is not None:
            networks.setdefault(network, process)
        for link, descriptor in _open_files(process):
            seen += 1
            if seen > MAX_DESCRIPTORS:
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
    # For each, the kernel walks through the connections of the whole machine.
    for process in networks.values() if sockets else ():
        usage.memory_bytes += sum(size for link, size in _connections(process).items() if link in sockets)
    usage.sent_files = sum(sockets.values())
    usage.memory_bytes += sum(size for in_memory, size in files.values() if in_memory)
    usage.held_bytes = sum(size for in_memory, size in files.values() if not in_memory)
    return usage


def _shared_memory(process: int) -> dict[int, int]:
    """Return the bytes in the `/dev/shm` of a process, by device; nothing if it is the worker's own."""
    place = f"/proc/{process}/root{_SHARED_MEMORY}"
    with suppress(OSError):
        device = os.stat(place).st_dev  # noqa: PTH116 - as above
        if device != os.stat(_SHARED_MEMORY).st_dev:  # noqa: PTH116 - as above
            status = os.statvfs(place)
            return {device: (status.f_blocks - status.f_bfree) * status.f_frsize}
    return {}


def _network(process: int) -> int | None:
    with suppress(OSError):
        return os.stat(f"/proc/{process}/ns/net").st_ino  # noqa: PTH116 - as above
    return None


def _connections(process: int) -> dict[str, int]:
    """Return the bytes that wait in each TCP socket of a process's network, by the socket's link target."""
    waiting: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        with suppress(OSError, ValueError, IndexError):
            for line in Path(f"/proc/{process}/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                sent, received = fields[4].split(":")
                waiting[f"{_SOCKET}[{fields[9]}]"] = int(sent, 16) + int(received, 16)
    return waiting


def _sent_files(descriptor: str) -> int:
    """Return the number of files that wait in a socket (since Linux 5.10)."""
    with suppress(OSError, ValueError):
        for line in Path(descriptor.replace("/fd/", "/fdinfo/")).read_bytes().splitlines():
            if line.startswith(b"scm_fds:"):
                return int(line.split()[1])
    return 0


def _resident_bytes(process: int) -> int:
    """Return the memory of a process that is private, or shared without a file."""
    total = 0
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{process}/status").read_bytes().splitlines():
            if line.startswith((b"RssAnon:", b"RssShmem:", b"VmSwap:")):
                total += int(line.split()[1]) * _KIB
    return total


def _open_files(process: int) -> Iterator[tuple[str, str]]:
    """Yield the name and the path in /proc of each open file of a process."""
    folder = f"/proc/{process}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - as above
            with suppress(OSError):
                yield os.readlink(f"{folder}/{name}"), f"{folder}/{name}"  # noqa: PTH115 - no file of that name
