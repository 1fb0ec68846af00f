"""The process that outlives a killed launcher and ends the launcher's processes.

The parent-death signal stops direct children. It does not reach grandchildren (an agent in a session of its
own) and does not end a child that hangs; this process does. It imports only the standard library and is
started by file path.

Protocol on standard input, a line each: `pid N` and `path P` name processes to end and files or folders to
remove after a kill; `done` before the end of the stream means a clean stop.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

CLEAN_STOP = "done"
_GRACE_SECONDS = 3.0
_ORPHAN_GRACE_SECONDS = 0.3  # for processes after the loss of the parent that should end them
_POLL_SECONDS = 0.05
_PPID, _SESSION, _START_TIME = 1, 3, 19  # fields of /proc/<pid>/stat, counted after the command name


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The command name may contain spaces and parentheses.
    return text.rpartition(")")[2].split()


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(pid)[:1] != ["Z"]


def _list_processes() -> dict[int, tuple[int, int, str]]:
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields and fields[0] != "Z":
            found[int(entry.name)] = int(fields[_PPID]), int(fields[_SESSION]), fields[_START_TIME]
    return found


def snapshot(roots: Iterable[int]) -> dict[int, str]:
    """Return the start times of living processes, by process id."""
    living = _list_processes()
    found, pending = set[int](), {*roots}
    while pending:
        found |= pending
        # Members of a session too: their parent may be gone.
        pending = {
            pid
            for pid, (parent, session, _) in living.items()
            if pid not in found and (parent in pending or session in pending)
        }
    return {pid: living[pid][2] for pid in found & living.keys()}


def _survivors(processes: dict[int, str]) -> list[int]:
    living = _list_processes()
    # A later process may have the same id.
    return [pid for pid, started in processes.items() if pid in living and living[pid][2] == started]


def kill_survivors(processes: dict[int, str], *, grace: float) -> None:
    """Wait up to `grace` seconds for processes to end, then kill those that are still alive, with their descendants."""
    deadline = time.monotonic() + grace
    while (left := _survivors(processes)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for pid in snapshot(left):
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def main() -> None:
    """Watch the process that started this one, the launcher, through its messages on standard input."""
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
    # The stream closes just before the children get their parent-death signal, so all of them still exist.
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
