"""Runs the program of a runbook's step: streams its output, keeps a bounded copy, ends it in time."""

import codecs
import os
import signal
import subprocess
import threading
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
_LAST_WORDS_SECONDS = 0.2
_GRACE_SECONDS = 1.0
_CUT = "\n[… {count} characters are left out …]\n"

OnOutput = Callable[[str], None]


class ProgramEnd(NamedTuple):
    """The result of a program; `status` is None if it exceeded its time limit."""

    status: int | None
    output: str


class _Output:
    """Reads the output of a program while it runs: passes it on in portions, keeps its beginning and end."""

    def __init__(self, descriptor: int, on_output: OnOutput) -> None:
        self._pipe = os.fdopen(descriptor, "rb", buffering=0)
        self._on_output = on_output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head = ""
        self._tail = ""
        self._left_out = 0
        self._portion = ""
        self._streamed = 0
        self._last_portion_at = 0.0
        self._closed = False
        self._changing = threading.Lock()
        # A daemon thread: a background program can hold the pipe open for any time, so nothing waits for this
        # thread.
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    def close(self) -> str:
        """Read the rest of the pipe, pass it on and return the kept output."""
        self._follower.join(_LAST_WORDS_SECONDS)
        with self._changing:
            self._closed = True
            self._send()
            cut = _CUT.format(count=self._left_out) if self._left_out else ""
            return f"{self._head}{cut}{self._tail}"

    def _follow(self) -> None:
        with self._pipe, suppress(ConnectionError):
            while chunk := self._pipe.read(_CHUNK):
                with self._changing:
                    if not self._closed:
                        self._add(self._decoder.decode(chunk))

    def _add(self, text: str) -> None:
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

    def _send(self) -> None:
        portion, self._portion = self._portion, ""
        if portion:
            self._streamed += len(portion)
            self._on_output(portion)


class _Program:
    """A running program and its process group. Only the thread of the turn may use it."""

    def __init__(self, process: subprocess.Popen[bytes], turn: Turn) -> None:
        self._process = process
        self._turn = turn
        self._exited = threading.Event()
        try:
            threading.Thread(target=self._watch, daemon=True).start()
        except RuntimeError:
            # No further thread can start, for example because the program has used up the limit of processes.
            os.killpg(process.pid, signal.SIGKILL)
            raise

    def wait(self, timeout: float | None) -> int | None:
        """Wait for the program; return its exit status, None after the time limit. Raises TurnCancelled."""
        return self._process.wait() if self._turn.wait(self._exited.is_set, timeout) else None

    def end(self) -> None:
        """Kill the whole process group, unless `wait` has already seen the end of the program itself."""
        if self._process.returncode is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._exited.wait(_GRACE_SECONDS)
        if self._exited.is_set():
            self._process.wait()

    def _watch(self) -> None:
        # WNOWAIT keeps the process id reserved, so that no signal goes to another group.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._exited.set()
        self._turn.wake()


def run_program(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    on_output: OnOutput,
    turn: Turn,
    timeout: float | None = None,
) -> ProgramEnd:
    """Run a program for at most `timeout` seconds. Raises TurnCancelled, and OSError if it cannot be started.

    `on_output` gets new output meanwhile, up to a limit; the middle of a long output is left out. What the program
    leaves behind goes on, unless the time limit or a cancellation ends it.
    """
    reading_end, writing_end = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - the program that the runbook names
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=writing_end,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        program = _Program(process, turn)
    except BaseException:
        os.close(reading_end)
        raise
    finally:
        os.close(writing_end)
    try:
        output = _Output(reading_end, on_output)
        status = program.wait(timeout)
    finally:
        program.end()
    return ProgramEnd(status, output.close())
