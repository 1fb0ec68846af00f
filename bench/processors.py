"""Who used the processors between two moments: whole trees of processes, also those of them that have ended since."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = [
    "CORES",
    "Meter",
    "descendants",
    "own_seconds",
    "slowed",
    "started_here",
    "tree_seconds",
]

CORES: Final = len(os.sched_getaffinity(0))
_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Counted from the state, the first field behind the name.
_OWN, _ENDED_CHILDREN = slice(11, 13), slice(13, 15)
# Of the whole machine: user, nice, system, interrupts; neither idle nor waiting for disks.
_BUSY: Final = (1, 2, 3, 6, 7)


class Meter:
    """Reads clocks that run while processes do, and adds up what they say."""

    def __init__(self, clocks: Mapping[str, Callable[[], float]], *, rest: str) -> None:
        self._clocks = {**clocks, rest: _machine_seconds}
        self._rest = rest
        self.used = dict.fromkeys(self._clocks, 0.0)
        self.wall = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is used within the block."""
        before = {name: clock() for name, clock in self._clocks.items()}
        began = time.perf_counter()
        yield
        self.wall += time.perf_counter() - began
        spent = {name: clock() - before[name] for name, clock in self._clocks.items()}
        # What the machine did besides: programs that nobody named, the kernel, and other people's work.
        spent[self._rest] -= sum(seconds for name, seconds in spent.items() if name != self._rest)
        for name, seconds in spent.items():
            self.used[name] += seconds

    @property
    def cores_busy(self) -> float:
        """How many processors were used at any time, on average."""
        return sum(self.used.values()) / self.wall


def own_seconds(pid: int) -> float:
    """Return the processor time of a process, without its children."""
    return sum(map(int, _fields(pid)[_OWN])) / _TICKS


def tree_seconds(pid: int) -> float:
    """Return the processor time of a process and of all that it started, whether it has ended or not."""
    ended = sum(map(int, _fields(pid)[_ENDED_CHILDREN])) / _TICKS
    return own_seconds(pid) + ended + sum(map(tree_seconds, _children(pid)))


def descendants(pid: int) -> list[int]:
    """Return the processes below this one."""
    return [below for child in _children(pid) for below in (child, *descendants(child))]


def started_here(name: str) -> int:
    """Return the process below this one that has this name; of several the one that started the others."""
    return next(pid for pid in descendants(os.getpid()) if _name(pid) == name)


@contextmanager
def slowed(pids: Sequence[int], share: float) -> Iterator[None]:
    """Let each of the processes run for this share of the time, as if it had such a part of a processor."""
    command = [sys.executable, "-m", "bench.slowing", str(share), *map(str, pids)]
    slowing = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 - our own module
    try:
        yield
    finally:
        slowing.communicate()
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text(encoding="ascii").split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        # It has ended; its parent has its time.
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").rstrip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _fields(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * 20


def _machine_seconds() -> float:
    with Path("/proc/stat").open(encoding="ascii") as lines:
        fields = next(lines).split()
    return sum(int(fields[place]) for place in _BUSY) / _TICKS
