"""Measures the resource usage of processes and all their descendants, from /proc.

Memory of no process counts where it is visible: in open and mapped files, a `/dev/shm` of the run's own, mappings, and
sockets, each as its default buffer, which no program can raise (seccomp.py), or as what waits in TCP. ADR 42 names what
is not counted.
"""

import math
import os
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

# More open files than this would make each measurement too slow.
MAX_DESCRIPTORS = 50_000
_BLOCK = 512
_KIB = 1024
# The default buffer of a socket (net.core.wmem_default).
_SOCKET_BYTES = 208 * _KIB
_SOCKET = "socket:"
# `vm_area_struct` and its share of a tree: 65,500 mappings took 16.7 MB (Linux 6.18).
_MAPPING_BYTES = 256
_MOST_MAPPINGS = 65_530  # of one process (vm.max_map_count)
_RULES = "anon_inode:[landlock-ruleset]"
_RULES_BYTES = 5 * 2**20
# In /proc/net: the inode of a socket that no process holds, and the type of a socket for datagrams.
_HELD_BY_NONE = "0"
_DATAGRAMS = "0002"
# A datagram socket can buffer a datagram of each of this many other senders (net.unix.max_dgram_qlen).
_SENDERS = 10
# The memory of a file in a tmpfs, in addition to its content.
_INODE_BYTES = 1024
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - looked at, not written to
_GONE = " (deleted)"
# How /proc shows shared memory without a file to which a program gave a name (CONFIG_ANON_VMA_NAME).
_NAMED = "[anon_shmem:"
_IN_MEMORY = ("/memfd:", "/dev/shm/", "/dev/zero", "/SYSV", _NAMED)  # noqa: S108 - names of files, not files


@dataclass(slots=True)
class ResourceUsage:
    processes: int = 0  # and threads
    memory_bytes: int = 0
    held_bytes: int = 0  # of deleted files that are still open, which are in no folder
    too_many_files: bool = False
    sent_files: int = 0  # through sockets, not yet received


class ProcessTable:
    """The processes of the machine, read again when older than `seconds`. Thread-safe; all runs share it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._reading = Lock()
        self._read_at = -math.inf
        # The children and the number of threads of each process.
        self._children: dict[int, list[int]] = {}
        self._threads: dict[int, int] = {}

    def tree(self, roots: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Yield the ids of the processes `roots` and all their descendants, each once, with its number of threads."""
        with self._reading:
            if time.monotonic() - self._read_at >= self._seconds:
                self._read()
            children, threads = self._children, self._threads
        waiting, seen = [*roots], set[int]()
        while waiting:
            process = waiting.pop()
            # A process id that was reused since the table was read may appear twice.
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
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with suppress(OSError, ValueError, IndexError):
                    fields = _read(f"/proc/{entry}/stat").rpartition(b")")[2].split(maxsplit=18)
                    children.setdefault(int(fields[1]), []).append(int(entry))
                    threads[int(entry)] = int(fields[17])
        self._children, self._threads, self._read_at = children, threads, began


def measure(
    pids: Iterable[int], table: ProcessTable | None = None, *, enough: float = math.inf
) -> ResourceUsage:
    """Return what these processes and all their descendants use together, up to `enough` bytes of memory."""
    usage = ResourceUsage()
    held = _Held()
    shared: dict[int, int] = {}
    networks: dict[int, int] = {}
    in_page_tables = 0
    for process, threads in (table or ProcessTable(0)).tree(pids):
        usage.processes += threads
        private, common = _resident_bytes(process)
        usage.memory_bytes += private
        in_page_tables += common
        shared |= _shared_memory(process)
        network = _network(process)
        if network is not None:
            networks.setdefault(network, process)
        usage.too_many_files = not held.add(process)
        # The agent must not decide how long a measurement takes: 65,530 mappings are read in 25 ms.
        if usage.too_many_files or usage.memory_bytes + held.kernel_bytes > enough:
            break
    own = _network(os.getpid())
    for network, process in networks.items():
        usage.memory_bytes += _network_bytes(process, held.sockets, is_private=network != own)
    usage.memory_bytes += len(held.sockets) * _SOCKET_BYTES + held.kernel_bytes
    usage.sent_files = sum(held.sockets.values())
    # For a file that is open and mapped, the size by its descriptor is exact, and that by its mapping may not be.
    nameless = [each for (device, _), each in (held.mapped | held.files).items() if device not in shared]
    in_files = sum(size for in_memory, size in nameless if in_memory)
    usage.memory_bytes += max(in_page_tables, in_files + sum(shared.values()))
    usage.held_bytes = sum(size for in_memory, size in nameless if not in_memory)
    return usage


@dataclass(slots=True)
class _Held:
    """Files without a name, by device and inode: whether in memory, and bytes. Sockets: the files in them."""

    files: dict[tuple[int, int], tuple[bool, int]] = field(default_factory=dict)
    mapped: dict[tuple[int, int], tuple[bool, int]] = field(default_factory=dict)
    sockets: dict[str, int] = field(default_factory=dict)
    kernel_bytes: int = 0  # of mappings, and of rules of Landlock
    _seen: int = 0

    def add(self, process: int) -> bool:
        """Add the files that a process holds. Return False, with some missing, if there are too many to look at."""
        maps, mappings = _read_mappings(process)
        self.kernel_bytes += mappings * _MAPPING_BYTES
        for file, in_memory, size in _mapped_files(process, maps):
            if not self._is_in_bounds():
                return False
            self.mapped[file] = (in_memory, max(size, self.mapped.get(file, (in_memory, 0))[1]))
        for link, descriptor in _open_files(process):
            if not self._is_in_bounds():
                return False
            if link.startswith(_SOCKET):
                if link not in self.sockets:
                    self.sockets[link] = _sent_files(descriptor)
            elif link == _RULES:
                self.kernel_bytes += _RULES_BYTES
            elif link.endswith(_GONE):
                with suppress(OSError):
                    status = Path(descriptor).stat()
                    size = status.st_blocks * _BLOCK
                    self.files[status.st_dev, status.st_ino] = (link.startswith(_IN_MEMORY), size)
        return True

    def _is_in_bounds(self) -> bool:
        self._seen += 1
        return self._seen <= MAX_DESCRIPTORS


def _read(file: str) -> bytes:
    with open(file, "rb", buffering=0) as opened:
        return opened.read()


def _shared_memory(process: int) -> dict[int, int]:
    # Nothing if the process shares the worker's own /dev/shm.
    place = f"/proc/{process}/root{_SHARED_MEMORY}"
    with suppress(OSError):
        device = os.stat(place).st_dev
        if device != os.stat(_SHARED_MEMORY).st_dev:
            status = os.statvfs(place)
            blocks = (status.f_blocks - status.f_bfree) * status.f_frsize
            return {device: blocks + (status.f_files - status.f_ffree) * _INODE_BYTES}
    return {}


def _read_mappings(process: int) -> tuple[bytes, int]:
    try:
        maps = _read(f"/proc/{process}/maps")
    except PermissionError:
        return b"", _MOST_MAPPINGS  # the process hides them (PR_SET_DUMPABLE)
    except OSError:
        return b"", 0
    return maps, maps.count(b"\n")


def _mapped_files(process: int, maps: bytes) -> Iterator[tuple[tuple[int, int], bool, int]]:
    if _GONE.encode() not in maps and _NAMED.encode() not in maps:
        return
    # Not splitlines: in names the kernel escapes line feeds only.
    for line in maps.split(b"\n"):
        if not line.endswith(_GONE.encode()) and _NAMED.encode() not in line:
            continue
        addresses, _, offset, device, inode, name = line.split(maxsplit=5)
        start, end = addresses.split(b"-")
        major, minor = device.split(b":")
        key = (os.makedev(int(major, 16), int(minor, 16)), int(inode))
        size = int(offset, 16) + int(end, 16) - int(start, 16)
        with suppress(OSError):
            # The kernel writes these names without leading zeros.
            status = Path(f"/proc/{process}/map_files/{int(start, 16):x}-{int(end, 16):x}").stat()
            key, size = (status.st_dev, status.st_ino), status.st_blocks * _BLOCK
        yield key, name.decode(errors="replace").startswith(_IN_MEMORY), size


def _network(process: int) -> int | None:
    with suppress(OSError):
        return os.stat(f"/proc/{process}/ns/net").st_ino
    return None


def _network_bytes(process: int, sockets: Container[str], *, is_private: bool) -> int:
    # In a private network, sockets that no process holds are the run's too: not accepted, or closed with unsent data.
    total = 0
    if sockets or is_private:
        # Read only when needed: the kernel walks through the connections of the whole machine.
        for name in ("tcp", "tcp6"):
            for fields in _lines(process, name, fields=10):
                sent, received = fields[4].split(":")
                waiting = int(sent, 16) + int(received, 16)
                if fields[9] == _HELD_BY_NONE:
                    total += _SOCKET_BYTES + waiting if is_private and waiting else 0
                elif f"{_SOCKET}[{fields[9]}]" in sockets:
                    total += waiting
    for fields in _lines(process, "unix", fields=7) if is_private else ():
        if fields[6] == _HELD_BY_NONE:
            total += _SOCKET_BYTES
        if fields[4] == _DATAGRAMS:
            total += _SENDERS * _SOCKET_BYTES
    return total


def _lines(process: int, name: str, *, fields: int) -> Iterator[list[str]]:
    # A socket's name can hold line breaks; the lines that it makes have fewer fields.
    with suppress(OSError):
        for line in _read(f"/proc/{process}/net/{name}").split(b"\n")[1:]:
            found = line.decode(errors="replace").split()
            if len(found) >= fields:
                yield found


def _sent_files(descriptor: str) -> int:
    # Linux has had this line since 5.10.
    with suppress(OSError, ValueError):
        for line in _read(descriptor.replace("/fd/", "/fdinfo/")).split(b"\n"):
            if line.startswith(b"scm_fds:"):
                return int(line.split()[1])
    return 0


def _resident_bytes(process: int) -> tuple[int, int]:
    # The bytes of the process alone, with its page tables, and those that other processes may share.
    private = common = 0
    with suppress(OSError):
        # Not splitlines: the first line has the name of the process, see `_mapped_files`.
        for line in _read(f"/proc/{process}/status").split(b"\n"):
            if line.startswith((b"RssAnon:", b"VmPTE:", b"VmSwap:")):
                private += int(line.split()[1]) * _KIB
            elif line.startswith(b"RssShmem:"):
                common = int(line.split()[1]) * _KIB
    return private, common


def _open_files(process: int) -> Iterator[tuple[str, str]]:
    folder = f"/proc/{process}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):
                yield os.readlink(f"{folder}/{name}"), f"{folder}/{name}"
