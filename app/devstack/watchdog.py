"""The process that outlives a killed launcher and ends whatever the launcher had started.

The parent-death signal already asks direct children to stop. It reaches no grandchild (an agent in a session of its
own) and nobody that hangs while stopping, so this process has the last word. It imports the standard library only,
is started by file path, and must do nothing else.

Protocol on standard input, a line each: `pid N` and `path P` name processes to end and files or folders to remove
after a kill; `done` before the end of the stream means a clean stop.
"""

import os
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

__all__ = ["CLEAN_STOP", "is_alive", "kill_survivors", "snapshot"]

CLEAN_STOP = "done"
_GRACE_SECONDS = 3.0
_ORPHAN_GRACE_SECONDS = 0.3  # for whoever has lost the parent that should have ended it
_POLL_SECONDS = 0.05
_PPID, _SESSION, _START_TIME = 1, 3, 19  # fields of /proc/<pid>/stat, counted after the command name


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the command name; [] when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The command name may hold spaces and parentheses itself.
    return text.rpartition(")")[2].split()


def is_alive(pid: int) -> bool:
    """Tell whether the process exists and has not ended; a zombie has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(pid)[:1] != ["Z"]


def snapshot(roots: Iterable[int]) -> dict[int, str]:
    """Return the living processes among the roots, their sessions and descendants: process id to start time."""
    children: dict[int, list[int]] = defaultdict(list)
    start_times: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(pid := int(entry.name))
        if fields and fields[0] != "Z":
            # A member of a root's session may have lost its parent already.
            children[int(fields[_PPID])].append(pid)
            children[int(fields[_SESSION])].append(pid)
            start_times[pid] = fields[_START_TIME]
    found: set[int] = set()
    pending = list(roots)
    while pending:
        if (pid := pending.pop()) not in found:
            found.add(pid)
            pending.extend(children.get(pid, ()))
    return {pid: start_times[pid] for pid in found if pid in start_times}


def _survivors(processes: dict[int, str]) -> list[int]:
    # The start time tells the process from a later one that was given the same id.
    now_living = {pid: _stat(pid) for pid in processes}
    return [
        pid
        for pid, fields in now_living.items()
        if fields and fields[0] != "Z" and fields[_START_TIME] == processes[pid]
    ]


def kill_survivors(processes: dict[int, str], *, grace: float) -> None:
    """Wait until all the processes have ended; after the grace kill those left, and what they started meanwhile."""
    deadline = time.monotonic() + grace
    while (left := _survivors(processes)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for pid in snapshot(left):
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def main() -> None:
    """Listen until the launcher stops or dies."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    roots: list[int] = []
    paths: list[Path] = []
    for line in sys.stdin:
        match line.rstrip("\n").partition(" "):
            case ("pid", _, pid):
                roots.append(int(pid))
            case ("path", _, path):
                paths.append(Path(path))
            case _:
                return
    # The stream closes just before the children get their parent-death signal: all are still here to be counted.
    family = snapshot(roots)
    kill_survivors({pid: family[pid] for pid in roots if pid in family}, grace=_GRACE_SECONDS)
    kill_survivors(family, grace=_ORPHAN_GRACE_SECONDS)
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
