"""Starts and ends programs, by asyncio's own functions.

The worker runs on Python's own event loop, which starts a program by `vfork`: the child shares the worker's
memory until it calls exec. uvloop forks, which copies the page tables of the whole process.
"""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from app.coroutines.shielded import shielded
from app.processes.output import read_bounded

LINE_LIMIT = 2**16
# The environment of a program outside the sandbox, unless it is given another: no variable of the service.
PLAIN_ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
log = structlog.get_logger(__name__)
_CHUNK = 2**16
_KEPT_BYTES = 2**20
_READ_SECONDS = 2.0
_END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended: its exit status, and the beginning of what it printed."""

    code: int
    output: bytes
    errors: str
    is_truncated: bool = False  # whether the output was longer

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace").strip()


async def spawn(
    *command: str,
    cwd: Path | None = None,
    env: Mapping[str, str] = PLAIN_ENVIRONMENT,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    limit: int = LINE_LIMIT,
    start_new_session: bool = False,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a program, which is killed if the caller is cancelled meanwhile. Raises OSError."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            limit=limit,
            start_new_session=start_new_session,
            pass_fds=pass_fds,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await shielded(_abandon(starting, in_session=start_new_session))
        raise


async def _abandon(starting: "asyncio.Future[Process]", *, in_session: bool) -> None:
    try:
        process = await starting
    except OSError:
        return
    kill(process, in_session=in_session)
    if process.stdin is not None:
        process.stdin.close()
    await wait_for_end(process)


async def run_to_end(*command: str, seconds: float | None = None) -> Ended:
    """Run a program of the system to its end. After `seconds`, or if cancelled, kill it. Raises TimeoutError."""
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await spawn(*command, stdin=null, stdout=pipe, stderr=pipe, start_new_session=True)
    try:
        async with asyncio.timeout(seconds):
            return await exchange(process, _KEPT_BYTES)
    finally:
        await shielded(end_session(process))


async def exchange(
    process: Process, limit: int, text: bytes = b"", *, on_overflow: Callable[[], None] | None = None
) -> Ended:
    """Write `text` to a program and wait for its end; keep the first `limit` bytes of output, and 1 MiB of errors."""
    (output, is_truncated), (errors, _), _ = await asyncio.gather(
        read_bounded(process.stdout, limit, on_overflow),
        read_bounded(process.stderr, _KEPT_BYTES),
        _write(process.stdin, text),
    )
    return Ended(await process.wait(), output, errors.decode(errors="replace"), is_truncated)


async def _write(stream: asyncio.StreamWriter | None, text: bytes) -> None:
    if stream is None:
        return
    with suppress(ConnectionError):
        if not stream.is_closing():
            stream.write(text)
            await stream.drain()
    stream.close()


async def end_session(process: Process) -> None:
    """Kill a program that leads a session, and the session; wait for its end, up to 30 s. Its output is dropped."""
    kill(process, in_session=True)
    await _end(process)


async def wait_for_end(process: Process) -> int:
    """Wait for a program that was sent SIGKILL; its output can be read for two seconds, then it is dropped.

    If it has not ended 30 seconds later (a disk does not respond), log an error and return the status of a killed
    program. Before Python 3.12.4 the end is noticed only when all output has been read.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_READ_SECONDS):
            return await process.wait()
    return await _end(process)


def kill(process: Process, *, in_session: bool = False) -> None:
    """Send SIGKILL to a program. `Process.kill` may take the exit status of one that ends, and asyncio misses it."""
    with suppress(ProcessLookupError):
        if in_session:
            os.killpg(process.pid, signal.SIGKILL)  # also if the leader has ended and left other processes
        elif process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)


async def _end(process: Process) -> int:
    try:
        async with asyncio.timeout(_END_SECONDS):
            _, _, code = await asyncio.gather(_drop(process.stdout), _drop(process.stderr), process.wait())
            return code
    except TimeoutError:
        log.error("program.not_ended", pid=process.pid, seconds=_END_SECONDS)  # noqa: TRY400 - a traceback adds nothing
        return -signal.SIGKILL if process.returncode is None else process.returncode


async def _drop(stream: asyncio.StreamReader | None) -> None:
    with suppress(RuntimeError):  # another coroutine is reading it
        while stream is not None and await stream.read(_CHUNK):
            pass
