"""The limits of a run, and the access of a process to files and network, for any kind of sandbox.

An agent sees the parts of the system that an ordinary user sees, and its workspace; nothing of the service or of
other runs.
"""

import os
import platform
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.agents.agent_folders import AgentFolders
from app.enums import SandboxKind

_MIB = 2**20
_LEAST_PROCESSES = 4096
# Since Linux 5.14 the kernel counts a user's processes in each user namespace separately.
_COUNTS_BY_NAMESPACE = tuple(int(n) for n in re.findall(r"\d+", platform.release())[:2]) >= (5, 14)
_OPEN_FOLDER = stat.S_IROTH | stat.S_IXOTH

SYSTEM_FOLDERS = tuple(
    Path(path)
    for path in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPolicy:
    """The operator's limits for all runs. The kernel enforces those of a process, the resource monitor the sums."""

    kind: SandboxKind = SandboxKind.AUTO
    memory_bytes: int = 4096 * _MIB
    file_bytes: int = 2048 * _MIB
    cpu_seconds: int = 4 * 3600
    open_files: int = 4096
    processes: int = 2048  # and threads
    disk_bytes: int = 10 * 1024 * _MIB  # of the run's folder
    pause_seconds: float = 0.4  # between two measurements of the processes
    disk_pause_seconds: float = 3.0  # between two measurements of the disk
    # Whether AUTO may choose a weaker sandbox than bubblewrap for a worker that is root.
    accepts_root: bool = False

    def limits(self, *, has_own_users: bool) -> dict[str, int]:
        """Return the limits of one process for `setrlimit`; `has_own_users`: it has its own user namespace."""
        processes = 2 * self.processes
        if not (has_own_users and _COUNTS_BY_NAMESPACE):
            # This kernel counts all processes of the user, so those of all runs together.
            processes = max(_LEAST_PROCESSES, processes)
        return {
            # Not RLIMIT_AS: Node reserves tens of gigabytes of address space that it never touches.
            "DATA": self.memory_bytes,
            "FSIZE": self.file_bytes,
            "CPU": self.cpu_seconds,
            "NOFILE": self.open_files,
            # Twice the run's limit, so that the monitor can see an excess and end the run. The kernel exempts root.
            "NPROC": processes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """The folders that a process in a sandbox may read or write, by their absolute paths outside."""

    places: AgentFolders
    work_writable: bool = True
    writable: tuple[Path, ...] = ()  # in addition to the places
    readable: tuple[Path, ...] = ()  # in addition to the system's folders
    hidden: tuple[Path, ...] = ()  # also if they are in a readable folder
    has_own_user: bool = True  # False: it has the worker's user id, which git's index of the clone records

    @property
    def changeable(self) -> tuple[Path, ...]:
        own = (self.places.work,) if self.work_writable else ()
        return (*own, self.places.home, self.places.temporary, *self.writable)

    @property
    def visible(self) -> tuple[Path, ...]:
        """All folders that the process may only read, beside the system's."""
        return self.readable if self.work_writable else (*self.readable, self.places.work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The only network access of a process in a sandbox: the proxy of its run."""

    port: int  # of the proxy, on the process's loopback
    socket: Path | None = None  # on which the proxy listens, if the process has its own network
    # Ports of the agent's loopback that lead through the proxy to the operator's servers on the worker's loopback.
    tunnels: Mapping[int, str] = field(default_factory=dict)
    # Ports of a shared loopback that may be connected to, beside the proxy's.
    open_ports: tuple[int, ...] = ()

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that make programs use the proxy, under all the names that programs read."""
        url = f"http://127.0.0.1:{self.port}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        # Servers on the loopback are the agent's own.
        direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1")
        proxied = {name: url for upper in names for name in (upper, upper.lower())}
        return proxied | direct | {"NODE_USE_ENV_PROXY": "1"}


def private_parts(folder: Path) -> list[Path]:
    """Return what not every user may read below `folder`, sorted; no links, nothing in private folders."""
    found: list[Path] = []
    waiting = [str(folder)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.is_symlink():
                continue
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except OSError:
                continue
            needed = _OPEN_FOLDER if stat.S_ISDIR(mode) else stat.S_IROTH
            if mode & needed != needed:
                found.append(Path(entry.path))
            elif stat.S_ISDIR(mode):
                waiting.append(entry.path)
    return sorted(found)


def public_parts(folder: Path, private: Iterable[Path]) -> Iterator[Path]:
    """Yield as few paths as possible that together contain everything in `folder` except the paths in `private`."""
    inside = [path for path in private if path == folder or folder in path.parents]
    if folder in inside:
        return
    if not inside:
        yield folder
        return
    for child in sorted(folder.iterdir()):
        yield from public_parts(child, inside)
