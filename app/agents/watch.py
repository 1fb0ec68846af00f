"""Ends a run whose processes take more than the run's share of memory, processes or disk.

The limits that the kernel takes by itself (entry.py) are those of one process, and root is exempt from the one on
their number; this adds up what the whole run has. It looks twice a second, and at the disk every few seconds, so a run
can be over its share for that long. Not counted: memory that nothing maps, beyond files that a process holds open.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.agents.confinement import SandboxPolicy
from app.agents.errors import AgentOverLimit
from app.agents.spawning import spawn, wait_for_end

__all__ = ["Usage", "measure", "watched"]

_LOGGER = structlog.get_logger(__name__)
_PAUSE_SECONDS = 0.5
_DISK_PAUSE_SECONDS = 3.0
_DISK_SECONDS = 120
# More than this many open files of one run are a way to keep us busy.
_DESCRIPTORS = 50_000
_BLOCK = 512
_KIB = 1024
_GONE = " (deleted)"
_IN_MEMORY = ("/memfd:", "/dev/shm/", "/dev/zero", "/SYSV")  # noqa: S108 - names of files, not files


@dataclass(slots=True)
class Usage:
    """What a process and all below it have together."""

    processes: int = 0  # and threads
    memory_bytes: int = 0
    held_bytes: int = 0  # of files that are deleted and still open: no folder shows them
    too_many_files: bool = False


@asynccontextmanager
async def watched(pid: int, folder: Path, policy: SandboxPolicy) -> AsyncIterator[None]:
    """Cancel the body once the processes from `pid` on, or the run's folder, are over what the policy allows.

    Raises AgentOverLimit then; the body must see to it that the processes end.
    """
    verdicts: list[str] = []

    async def follow(limit: asyncio.Timeout) -> None:
        try:
            verdicts.append(await _verdict(pid, folder, policy))
        except Exception:
            _LOGGER.exception("watch.unexpected_error")
            return
        if not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())

    limit = asyncio.timeout(None)
    try:
        async with limit:
            following = asyncio.create_task(follow(limit))
            try:
                yield
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
    except TimeoutError:
        if not limit.expired():
            raise
        raise AgentOverLimit(verdicts[0]) from None


async def _verdict(pid: int, folder: Path, policy: SandboxPolicy) -> str:
    """Watch for as long as all is well; return what is not."""
    loop = asyncio.get_running_loop()
    free_at_first = _free_bytes(folder)
    # Nothing fills a disk in no time, and most runs are over before the first look at it.
    look_at_disk_at = loop.time() + _DISK_PAUSE_SECONDS
    on_disk = 0
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        usage = await asyncio.to_thread(measure, pid)
        if loop.time() >= look_at_disk_at:
            started = loop.time()
            on_disk = await _disk_bytes(folder, free_at_first)
            # A large workspace takes long to add up: that must not be all that the disk does.
            look_at_disk_at = loop.time() + max(_DISK_PAUSE_SECONDS, 10 * (loop.time() - started))
        if usage.processes > policy.processes:
            return f"The run had more than {policy.processes} processes and threads at a time."
        if usage.memory_bytes > policy.memory_bytes:
            return f"The run used more than {_mebibytes(policy.memory_bytes)} of memory."
        if on_disk + usage.held_bytes > policy.disk_bytes:
            return f"The run filled more than {_mebibytes(policy.disk_bytes)} of the disk."
        if usage.too_many_files:
            return f"The run had more than {_DESCRIPTORS} files open."


def measure(pid: int) -> Usage:
    """Return what a process and its descendants use now; those that end meanwhile count as nothing."""
    usage = Usage()
    files: dict[tuple[int, int], tuple[bool, int]] = {}
    seen = 0
    for process, threads in _tree(pid):
        usage.processes += threads
        usage.memory_bytes += _resident_bytes(process)
        for link, descriptor in _open_files(process):
            seen += 1
            if seen > _DESCRIPTORS:
                usage.too_many_files = True
                break
            if link.endswith(_GONE):
                with suppress(OSError):
                    status = Path(descriptor).stat()
                    files[status.st_dev, status.st_ino] = (
                        link.startswith(_IN_MEMORY),
                        status.st_blocks * _BLOCK,
                    )
    usage.memory_bytes += sum(size for in_memory, size in files.values() if in_memory)
    usage.held_bytes = sum(size for in_memory, size in files.values() if not in_memory)
    return usage


def _tree(root: int) -> Iterator[tuple[int, int]]:
    """Yield each process from a root downwards, with how many threads it has."""
    children: dict[int, list[int]] = {}
    threads: dict[int, int] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - twice a second, for every process of the machine
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):
                fields = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry))
                threads[int(entry)] = int(fields[17])
    waiting = [root]
    while waiting:
        process = waiting.pop()
        if process in threads:
            yield process, threads[process]
        waiting += children.get(process, [])


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
