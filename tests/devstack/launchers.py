"""Launchers for these tests: Python programs of their own, since one thread and death by signal are the point."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.devstack.watchdog import snapshot
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


def ended(processes: Mapping[int, str]) -> bool:
    """Return whether all these processes (of `snapshot`) have ended."""
    return not snapshot(processes).items() & processes.items()
