"""Hide the environment variables of a process of the service from other processes of the same user."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_DUMPABLE = 4
# Positions of the fields `env_start` and `env_end` of /proc/<pid>/stat behind the name of the program.
_START, _END = 50 - 3, 51 - 3


def hide_environment() -> None:
    """Overwrite `/proc/<pid>/environ`, and make the memory unreadable for others; harmless where that is refused."""
    if sys.platform != "linux":
        return
    for name, value in os.environ.copy().items():
        os.environ[name] = value  # the C library copies it, so that the original can be overwritten
    with suppress(OSError):
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[_START]), int(fields[_END])
        if start:
            with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
                memory.seek(start)
                memory.write(bytes(end - start))
    # Memory, descriptors and core dumps become unreadable. Programs that it starts are not affected.
    zero = ctypes.c_ulong(0)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, zero, zero, zero, zero)


def start_tracker() -> None:
    """Start the helper of `multiprocessing` without the environment, which others could read there."""
    from multiprocessing import resource_tracker  # noqa: PLC0415 - only a service of several processes needs it

    variables = os.environ.copy()
    os.environ.clear()
    try:
        resource_tracker.ensure_running()
    finally:
        os.environ.update(variables)
