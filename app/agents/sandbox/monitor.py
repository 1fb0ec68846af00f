"""Measures the resources of all processes of a run, more than twice a second, and ends them over a limit.

The kernel limits single processes only. A file that was sent through a socket and stays unreceived belongs to none: it
counts with the maximal size of a file.
"""

import asyncio
import shutil
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from app.agents.errors import AgentError, AgentOverLimit
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.resource_usage import MAX_DESCRIPTORS, ProcessTable, ResourceUsage, measure
from app.coroutines.periodic import alongside
from app.enums import CheckCause
from app.processes.spawning import run_to_end

log = structlog.get_logger(__name__)
# Shared by all runs of the worker: with a table for each, ten idle runs took a fifth of a core.
_PROCESSES = ProcessTable(seconds=0.2)
# The pause grows with the time of a measurement, which an agent can make long, so the pause has a limit.
_LONGEST_DISK_PAUSE_SECONDS = 15.0
# An empty file fills no block, but a file system can run out of inodes, so each file counts as at least this.
_FILE_BYTES = 4096
_DISK_SECONDS = 120
# The time for processes over a limit to end by themselves.
_GRACE_SECONDS = 0.2
# Programs may send files to each other. They count only if this many measurements in a row find some unreceived.
_LOOKS_AT_SENT = 10
# After this many failures, about ten seconds, the run is ended: its agent may be what prevents the measurement.
_MOST_FAILURES = 25
_NOT_MEASURED = "What the run uses could not be measured."


class ResourceMonitor:
    """Measures the processes and the folder of one run, and ends it at a limit."""

    def __init__(self, folder: Path, measure: Callable[..., ResourceUsage] = measure) -> None:
        self._folder = folder
        self._measure = measure
        self._processes: list[ConfinedProcess] = []
        self._excess: AgentOverLimit | None = None
        self._on_disk = 0

    async def add(self, process: ConfinedProcess) -> ConfinedProcess:
        """Measure a process as part of the run. If that is over a limit already, end all and raise AgentOverLimit."""
        self._processes = [each for each in self._processes if each.returncode is None]
        self._processes.append(process)
        if self._excess:
            await self._end()
            raise self._excess
        return process

    @asynccontextmanager
    async def enforce(self, policy: SandboxPolicy, *, disk_bytes: int | None = None) -> AsyncIterator[None]:
        """Enforce the limits during one block at a time; at an excess end all processes, and raise AgentOverLimit."""
        self._excess = None
        free_at_first = shutil.disk_usage(self._folder).free
        limit = asyncio.timeout(None)
        try:
            async with (
                limit,
                # In tasks of their own, because measuring a full disk takes long.
                alongside(
                    self._look(limit, policy, disk_bytes or policy.disk_bytes),
                    self._look_at_disk(free_at_first, policy.disk_pause_seconds),
                ),
            ):
                yield
        except (TimeoutError, AgentError):
            # The block may have failed before the cancellation, because its processes were gone.
            if not self._excess:
                raise
        # Cleared, so that `add` does not end the processes that start after the block.
        excess, self._excess = self._excess, None
        if excess:
            raise excess

    async def _look(self, limit: asyncio.Timeout, policy: SandboxPolicy, disk_bytes: int) -> None:
        sent = deque([0], maxlen=_LOOKS_AT_SENT)
        failures = 0
        while not self._excess:
            await asyncio.sleep(policy.pause_seconds)
            pids = [process.pid for process in self._processes if process.returncode is None]
            try:
                usage = await asyncio.to_thread(self._measure, pids, _PROCESSES, enough=policy.memory_bytes)
            except Exception:
                # Measure again: limits matter most on a machine that is out of processes or memory.
                log.exception("resource_monitor.unexpected_error")
                failures += 1
                if failures == _MOST_FAILURES:
                    self._excess = AgentOverLimit(_NOT_MEASURED, cause=CheckCause.WORKER)
                continue
            failures = 0
            sent.append(usage.sent_files)
            usage.memory_bytes += min(sent) * policy.file_bytes
            self._excess = _excess(usage, self._on_disk, policy, disk_bytes)
        if not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())
        await self._end()

    async def _look_at_disk(self, free_at_first: int, least: float) -> None:
        loop = asyncio.get_running_loop()
        self._on_disk = 0
        # Filling a disk takes time, and most runs end before the first measurement.
        pause = least
        while True:
            await asyncio.sleep(pause)
            started = loop.time()
            try:
                self._on_disk = await _disk_bytes(self._folder, free_at_first)
            except Exception:
                log.exception("resource_monitor.unexpected_error")
            # A large workspace takes long to measure: keep the disk free for other work in between.
            pause = max(least, 10 * (loop.time() - started))
            pause = min(pause, _LONGEST_DISK_PAUSE_SECONDS)

    async def _end(self) -> None:
        await asyncio.gather(*(process.stop(_GRACE_SECONDS) for process in self._processes))


def _excess(
    usage: ResourceUsage, on_disk: int, policy: SandboxPolicy, disk_bytes: int
) -> AgentOverLimit | None:
    if usage.processes > policy.processes:
        many = f"The run had more than {policy.processes} processes and threads at a time."
        return AgentOverLimit(many, cause=CheckCause.SPAWN_FAILED)
    if usage.memory_bytes > policy.memory_bytes:
        return AgentOverLimit(f"The run used more than {policy.memory_bytes // 2**20} MiB of memory.")
    if on_disk + usage.held_bytes > disk_bytes:
        much = f"The run filled more than {disk_bytes // 2**20} MiB of the disk."
        return AgentOverLimit(much, cause=CheckCause.DISK_FULL)
    if usage.too_many_files:
        many = f"The run had more than {MAX_DESCRIPTORS} files open."
        return AgentOverLimit(many, cause=CheckCause.SPAWN_FAILED)
    return None


async def _disk_bytes(folder: Path, free_at_first: int) -> int:
    # If a part of the folder is unreadable, the space that the disk has lost since the start counts instead.
    occupied, is_complete = await _du(folder, "--block-size=1")
    if not is_complete:
        # `du` also fails if files vanish while it counts, which does no harm.
        occupied = max(occupied, free_at_first - shutil.disk_usage(folder).free)
    files, _ = await _du(folder, "--inodes")
    return max(occupied, files * _FILE_BYTES)


async def _du(folder: Path, unit: str) -> tuple[int, bool]:
    try:
        counted = await run_to_end("du", "-s", "-x", unit, "--", str(folder), seconds=_DISK_SECONDS)
    except TimeoutError:
        return 0, False
    return int(counted.output.split()[0]) if counted.output else 0, counted.code == 0
