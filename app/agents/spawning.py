"""Starts programs for an asyncio loop, at a cost that does not grow with the worker.

uvloop forks, which copies the worker's page tables: 6 ms of processor time for each program at 110 MB, most of the time
between a claim and its agent. `subprocess` shares the memory until the program begins (vfork): half a millisecond. So
that starts the program, and the loop gets the pipes, and a descriptor that tells of the end.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from typing_extensions import override

from app.agents.streams import read_bounded
from app.agents.uninterrupted import uninterrupted

__all__ = ["Process", "end_session", "spawn"]

_LIMIT = 2**16


class Process:
    """A program under way; used as `asyncio.subprocess.Process` is."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self._popen = popen
        self._ended = asyncio.get_running_loop().create_future()
        self.pid = popen.pid
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None

    async def connect(self, limit: int) -> None:
        """Hand the pipes to the loop; `limit` bounds a line of the output."""
        if self._popen.stdin is not None:
            self.stdin = await _writer(self._popen.stdin)
        if self._popen.stdout is not None:
            self.stdout = await _reader(self._popen.stdout, limit)
        if self._popen.stderr is not None:
            self.stderr = await _reader(self._popen.stderr, limit)
        # Last: what ends before that is noticed all the same, since only this lets go of its id.
        self._await_end()

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._popen.returncode

    async def wait(self) -> int:
        """Wait for the program to end, and return its exit status; its output may still be unread."""
        await asyncio.shield(self._ended)
        return int(self._popen.returncode)

    async def communicate(self, text: bytes | None = None) -> tuple[bytes, bytes]:
        """Write its input, read its output to the end, and wait for it."""
        output, complaint, _ = await asyncio.gather(
            _read(self.stdout), _read(self.stderr), _write(self.stdin, text)
        )
        await self.wait()
        return output, complaint

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal. Raises ProcessLookupError if the program has ended."""
        if self._popen.poll() is not None:
            raise ProcessLookupError
        self._popen.send_signal(number)

    def kill(self) -> None:
        """End it. Raises ProcessLookupError if it has ended."""
        self.send_signal(signal.SIGKILL)

    def _await_end(self) -> None:
        loop = asyncio.get_running_loop()
        if sys.platform != "linux":
            waiting = loop.run_in_executor(None, self._popen.wait)
            waiting.add_done_callback(lambda _: self._note_end())
            return
        descriptor = os.pidfd_open(self.pid)

        def note_end() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            self._note_end()

        loop.add_reader(descriptor, note_end)

    def _note_end(self) -> None:
        self._popen.poll()
        if self.stdin is not None and not self.stdin.is_closing():
            # What is not read by now never will be.
            self.stdin.transport.abort()
        self._ended.set_result(None)


async def spawn(
    *command: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    limit: int = _LIMIT,
    start_new_session: bool = False,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a program, as `asyncio.create_subprocess_exec` does. Raises OSError where it cannot be."""
    popen = subprocess.Popen(  # noqa: S603, ASYNC220 - half a millisecond, and that is why it is here
        command,
        bufsize=0,
        cwd=cwd,
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=start_new_session,
        pass_fds=pass_fds,
    )
    process = Process(popen)
    try:
        # A pipe belongs to the loop as a whole or not at all: what was cancelled half-way would be closed by neither.
        await uninterrupted(process.connect(limit))
    except BaseException:
        popen.kill()
        popen.wait()
        raise
    return process


async def end_session(process: Process) -> None:
    """Make sure that a program with a session of its own, and its helpers, are gone and their pipes closed."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        await read_bounded(stream, 0)
    await process.wait()


class _Output(asyncio.StreamReaderProtocol):
    """Closes the pipe at its end; uvloop would keep it open, as half of a connection."""

    @override
    def eof_received(self) -> bool:
        super().eof_received()
        return False


async def _writer(pipe: IO[bytes]) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), pipe
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _reader(pipe: IO[bytes], limit: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=limit)
    await asyncio.get_running_loop().connect_read_pipe(lambda: _Output(reader), pipe)
    return reader


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


async def _write(stream: asyncio.StreamWriter | None, text: bytes | None) -> None:
    if stream is None:
        return
    with suppress(ConnectionError):
        if text and not stream.is_closing():
            stream.write(text)
            await stream.drain()
    stream.close()
