"""Launchers for these tests: Python programs of their own, since one thread and death by signal are the point."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.waiting import patient

_POLL_SECONDS = 0.05
_RUN_SECONDS = 200


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment variables without this test session's settings, without its make, and without a build by npm."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TASKBEACON_") and name not in {"MAKELEVEL", "MAKEFLAGS", "PORT"}
    }
    return kept | {"PYTHONUNBUFFERED": "1", "SKIP_CONSOLE_BUILD": "1"} | extra


@contextmanager
def launcher(
    *arguments: str, output: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with the arguments; leaving the block kills it."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=dict(environment or clean_environment()),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run_source(source: str, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end, warnings being errors; `prefix` is a command to run it with."""
    return subprocess.run(
        [*prefix, sys.executable, "-W", "error", "-c", source, *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=_RUN_SECONDS,
        check=False,
    )


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints, trimmed."""
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments]
    return subprocess.check_output(command, cwd=folder, env=clean_environment(), text=True).strip()


def wait_for(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Return once the condition holds; fail after the deadline."""
    deadline = time.monotonic() + patient(seconds)
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for: {what}"
        time.sleep(_POLL_SECONDS)


def snapshot(roots: Iterable[int]) -> dict[int, str]:
    """Return the start times of `roots`, their descendants, and the members of sessions that these lead."""
    living = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The command name may contain spaces and parentheses.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[0] != "Z":
                living[int(entry.name)] = int(fields[1]), int(fields[3]), fields[19]
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


def ended(processes: Mapping[int, str]) -> bool:
    """Return whether all these processes (of `snapshot`) have ended."""
    return not snapshot(processes).items() & processes.items()
