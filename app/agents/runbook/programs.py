"""Runs the program of a runbook's step: streams its output, keeps a bounded copy, ends it in time."""

import codecs
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from app.agents.runbook.connection import Turn

_CHUNK = 2**14
_KEEP = 2**15  # at each end of the output
_STREAM_AT_MOST = 2**18
_STREAM_EVERY_SECONDS = 0.25
# The interval at which to check for a cancellation and for the time limit.
_PAUSE_SECONDS = 0.1
# How long to read after the end of a program: one that it left in the background can keep the pipe open.
_LAST_WORDS_SECONDS = 0.2
_GRACE_SECONDS = 1.0
_CUT = "\n[… {count} characters are left out …]\n"

OnOutput = Callable[[str], None]


class ProgramEnd(NamedTuple):
    """The result of a program; `status` is None if it exceeded its time limit."""

    status: int | None
    output: str


class _Output:
    """Passes the output of a program on in portions, and keeps its beginning and end."""

    def __init__(self, on_output: OnOutput) -> None:
        self._on_output = on_output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head = self._tail = self._portion = ""
        self._left_out = self._streamed = 0
        self._last_portion_at = 0.0

    def add(self, chunk: bytes) -> None:
        text = self._decoder.decode(chunk)
        room = _KEEP - len(self._head)
        self._head += text[:room]
        self._tail += text[room:] if room < len(text) else ""
        excess = max(0, len(self._tail) - _KEEP)
        self._left_out += excess
        self._tail = self._tail[excess:]
        self._portion += text[: max(0, _STREAM_AT_MOST - self._streamed - len(self._portion))]
        now = time.monotonic()
        if now - self._last_portion_at >= _STREAM_EVERY_SECONDS:
            self._last_portion_at = now
            self._send()

    def close(self) -> str:
        """Pass the rest on, and return the kept output."""
        self._send()
        cut = _CUT.format(count=self._left_out) if self._left_out else ""
        return f"{self._head}{cut}{self._tail}"

    def _send(self) -> None:
        portion, self._portion = self._portion, ""
        if portion:
            self._streamed += len(portion)
            self._on_output(portion)


def run_program(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    on_output: OnOutput,
    turn: Turn,
    *,
    timeout: float | None,
    inherited: int,
) -> ProgramEnd:
    """Run a program, with an inherited descriptor, for at most `timeout` seconds. Raises TurnCancelled, OSError.

    `on_output` gets new output meanwhile, up to a limit; the middle of a long output is left out. Processes that the
    program leaves behind run on, unless the time limit or a cancellation ends them.
    """
    output = _Output(on_output)
    with subprocess.Popen(  # noqa: S603 - the program that the runbook names
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        pass_fds=(inherited,),
        start_new_session=True,
    ) as process:
        exited = os.pidfd_open(process.pid)
        try:
            status = _follow(process, exited, output, turn, timeout)
        finally:
            _end(process, exited)
            os.close(exited)
    return ProgramEnd(status, output.close())


def _follow(
    process: "subprocess.Popen[bytes]", exited: int, output: _Output, turn: Turn, timeout: float | None
) -> int | None:
    pipe = process.stdout
    assert pipe is not None
    ends_at = float("inf") if timeout is None else time.monotonic() + timeout
    source, is_over = pipe.fileno(), False
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    waiting.register(exited, select.POLLIN)
    while True:
        turn.check()
        ready = dict(waiting.poll(_PAUSE_SECONDS * 1000))
        if exited in ready:
            waiting.unregister(exited)
            is_over, ends_at = True, time.monotonic() + _LAST_WORDS_SECONDS
        if source in ready:
            if chunk := pipe.read(_CHUNK):
                output.add(chunk)
            else:
                waiting.unregister(pipe)
                pipe.close()
        if is_over and (pipe.closed or time.monotonic() >= ends_at):
            return process.wait()
        if time.monotonic() >= ends_at:
            return None


def _end(process: "subprocess.Popen[bytes]", exited: int) -> None:
    # Not if the program has ended by itself: what it left in the background runs on.
    if process.returncode is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            select.select((exited,), (), (), _GRACE_SECONDS)
