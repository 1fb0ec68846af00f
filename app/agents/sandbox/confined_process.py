"""A command that runs in the sandbox, and how it is ended."""

import asyncio
import json
import os
import signal
import time
from asyncio.subprocess import Process
from contextlib import suppress

import structlog

from app.coroutines.shielded import shielded
from app.processes.spawning import Ended, exchange, wait_for_end

log = structlog.get_logger(__name__)
_GRACE_SECONDS = 2.0
# The grace for processes that a program of the service has left running.
_BRIEF_GRACE_SECONDS = 0.2
_END_SECONDS = 30.0


class ConfinedProcess:
    """A command that was started in the sandbox of an agent, and all processes that the command has started."""

    def __init__(self, process: Process, info: int, worker: int, *, has_launcher: bool) -> None:
        """Take over a process: bubblewrap describes the sandbox on `info`; `worker` is a pipe from the worker."""
        self._process = process
        self._has_launcher = has_launcher
        self._descriptors: tuple[int, int] | None = (info, worker)
        self._code: int | None = None
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.pid = process.pid
        self._spawned_at = time.monotonic()

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    @property
    def age(self) -> float:
        """The time in seconds since the process was spawned, outside the sandbox that it then built around itself."""
        return time.monotonic() - self._spawned_at

    async def has_entered(self) -> bool:
        """Wait until the command starts in the sandbox; False if this cannot be built. At most once, and first."""
        assert self._descriptors is not None
        worker = self._descriptors[1]
        try:
            await _readable(worker)
        except asyncio.CancelledError:
            await self.stop(0)
            raise
        # entry.py writes a byte. The end without one means that all processes with the other end of the pipe are gone.
        return bool(os.read(worker, 1))

    async def wait(self) -> int:
        """Wait for the command itself, and return its exit status; its descendants may still run."""
        return await self._process.wait()

    async def finish(self, limit: int, text: bytes = b"") -> Ended:
        """Write `text`, and wait for the end of all processes; keep the first `limit` bytes of output."""
        try:
            return await exchange(self._process, limit, text)
        finally:
            await shielded(self.stop(_BRIEF_GRACE_SECONDS))

    async def stop(self, grace_seconds: float = _GRACE_SECONDS) -> int:
        """End the command and all its descendants, wait for their end, and return the exit status of the command.

        A running command gets SIGTERM, and SIGKILL after `grace_seconds`; if the caller is cancelled, all get SIGKILL
        first, or from the launcher a moment later. A second call returns the same status.
        """
        if self._code is not None:
            return self._code
        first_process = self._open_first_process()
        try:
            if self.returncode is None:
                self._signal_group(signal.SIGTERM)
                if self._has_launcher:
                    self._signal_group(signal.SIGCONT)  # an agent may have stopped it (before Linux 6.12)
                with suppress(TimeoutError):
                    async with asyncio.timeout(grace_seconds):
                        await self._process.wait()
                if self._has_launcher:
                    await self._wait_for_launcher()
        finally:
            # A launcher that lives is not killed: nothing would end its descendants then.
            if not self._has_launcher or self.returncode is not None:
                self._signal_group(signal.SIGKILL)
            if first_process is not None:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(first_process, signal.SIGKILL)
        try:
            code = await wait_for_end(self._process)
            if first_process is not None:
                await _wait_for_exit(first_process)
        finally:
            if first_process is not None:
                os.close(first_process)
        if self._has_launcher and self.returncode == -signal.SIGKILL:
            log.error("sandbox.launcher_killed", detail="Processes of the run may be left.")
        self._code = code  # the process id may be reused from now on
        return code

    async def _wait_for_launcher(self) -> None:
        # The launcher got SIGTERM and kills all descendants: without a process namespace nothing else finds them.
        with suppress(ProcessLookupError):
            launcher = os.pidfd_open(self.pid)
            try:
                await _wait_for_exit(launcher)
            finally:
                os.close(launcher)

    def _open_first_process(self) -> int | None:
        # The first process ends after all others. bubblewrap itself ends a moment earlier, while the kernel is still
        # killing them: code that reads or removes the workspace next must not race with them.
        if self._descriptors is None:
            return None
        (reader, worker), self._descriptors = self._descriptors, None
        os.close(worker)
        with os.fdopen(reader, "rb", buffering=0) as info:
            os.set_blocking(info.fileno(), False)
            written = info.read(4096)
        if not written:
            return None  # the process ended before the sandbox was made, or has no process namespace
        with suppress(ValueError, KeyError, ProcessLookupError):
            return os.pidfd_open(int(json.loads(written)["child-pid"]))
        return None

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def _wait_for_exit(process: int) -> None:
    try:
        async with asyncio.timeout(_END_SECONDS):
            await _readable(process)
    except TimeoutError:
        log.error("sandbox.not_ended", seconds=_END_SECONDS)  # noqa: TRY400 - a traceback would say no more


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
