"""Locks on files: a process holds one until it closes its descriptor or ends, and children may inherit it."""

import fcntl
import os
from pathlib import Path


def try_lock(path: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    """Lock a file, which is made if it is missing; return its descriptor, or None while another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:
        # Its last holder has deleted the file, so this lock excludes no other process.
        os.close(descriptor)
        return None
    return descriptor
