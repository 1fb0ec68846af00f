"""Hide the environment that a process of the service was started with from other processes of the same user."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_DUMPABLE = 4
# Of /proc/<pid>/stat, less the three fields up to the last bracket.
_START, _END = 50 - 3, 51 - 3


def hide_environment() -> None:
    """Wipe the environment from `/proc/<pid>/environ`, and close the process to others of its user. Repeatable.

    Secrets of the service come as variables, and that file shows what a process began with for as long as it lives,
    whatever becomes of the variables. `os.environ` stays as it is. Where the kernel does not let it, nothing happens.
    """
    if sys.platform != "linux":
        return
    for name, value in os.environ.copy().items():
        os.environ[name] = value  # the C library takes copies, and so needs the original no more
    with suppress(OSError):
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[_START]), int(fields[_END])
        if start:
            with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
                memory.seek(start)
                memory.write(bytes(end - start))
    # Neither its memory, nor its descriptors, nor a core of it. Programs that it starts are not affected.
    zero = ctypes.c_ulong(0)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, zero, zero, zero, zero)


def start_tracker() -> None:
    """Start the helper of `multiprocessing` without the variables of the service, which it would show to the end."""
    from multiprocessing import resource_tracker  # noqa: PLC0415 - only a service of several processes has one

    variables = os.environ.copy()
    os.environ.clear()
    try:
        resource_tracker.ensure_running()
    finally:
        os.environ.update(variables)
