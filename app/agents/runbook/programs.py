"""Runs one program of a step: streams what it prints, keeps a bounded copy, ends it in time."""

import asyncio
import codecs
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ended", "run_program"]

_CHUNK = 2**14
_KEEP = 2**15  # at each end of the output
_STREAM_AT_MOST = 2**18
_STREAM_EVERY_SECONDS = 0.25
_LAST_WORDS_SECONDS = 0.2
_GRACE_SECONDS = 1.0
_CUT = "\n[… {count} characters are left out …]\n"

OnOutput = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; `status` is None if its time was up."""

    status: int | None
    output: str


class _Output:
    """What a program printed: passed on in portions while it runs, kept at both ends."""

    def __init__(self, on_output: OnOutput) -> None:
        self._on_output = on_output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head = ""
        self._tail = ""
        self._left_out = 0
        self._portion = ""
        self._streamed = 0
        self._last_portion_at = 0.0
        self._closed = False

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Read to the end. What comes after `close` (from a program in the background) is read and forgotten."""
        while chunk := await stream.read(_CHUNK):
            if not self._closed:
                await self._add(self._decoder.decode(chunk))

    async def close(self) -> str:
        """Pass on the rest and return what is kept."""
        self._closed = True
        await self._send()
        cut = _CUT.format(count=self._left_out) if self._left_out else ""
        return f"{self._head}{cut}{self._tail}"

    async def _add(self, text: str) -> None:
        room = _KEEP - len(self._head)
        self._head += text[:room]
        self._tail += text[room:] if room < len(text) else ""
        excess = max(0, len(self._tail) - _KEEP)
        self._left_out += excess
        self._tail = self._tail[excess:]
        self._portion += text[: max(0, _STREAM_AT_MOST - self._streamed - len(self._portion))]
        now = asyncio.get_running_loop().time()
        if now - self._last_portion_at >= _STREAM_EVERY_SECONDS:
            self._last_portion_at = now
            await self._send()

    async def _send(self) -> None:
        portion, self._portion = self._portion, ""
        if portion:
            self._streamed += len(portion)
            await self._on_output(portion)


async def run_program(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    on_output: OnOutput,
    timeout: float | None = None,  # noqa: ASYNC109 - its end is an answer, not an error
) -> Ended:
    """Run a program to its end. What it leaves in the background lives on; time or cancellation ends all of it."""
    # A pipe of our own: asyncio counts a process as running for as long as anybody holds one that it made, and
    # what a script left in the background does.
    stream, writing_end = await _open_pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=directory,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing_end,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(writing_end)
    output = _Output(on_output)
    reader = asyncio.create_task(output.follow(stream))
    _READERS.add(reader)
    reader.add_done_callback(_READERS.discard)
    try:
        async with asyncio.timeout(timeout):
            status: int | None = await process.wait()
    except TimeoutError:
        status = None
    finally:
        if process.returncode is None:
            await _end(process)
    await asyncio.wait({reader}, timeout=_LAST_WORDS_SECONDS)
    return Ended(status, await output.close())


# Readers of programs in the background: a task that nobody refers to may vanish.
_READERS: set[asyncio.Task[None]] = set()


async def _open_pipe() -> tuple[asyncio.StreamReader, int]:
    """Return the two ends of a pipe; the reading end closes itself at the end of what is written."""
    reading_end, writing_end = os.pipe()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading_end, "rb", buffering=0)
    )
    return reader, writing_end


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await process.wait()
