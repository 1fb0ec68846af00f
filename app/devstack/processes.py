"""Start child processes, wait for them, and end all of them, whatever happens to this process.

`stop()` ends children in order. If this process is killed, the kernel sends each of them its stop signal.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, NoReturn, Self

from app.devstack.errors import DevstackError, StopRequested

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.02
_FORWARD_SECONDS = 0.2
_TAIL_LINES = 15
_TAIL_BYTES = 16_384
_CHUNK_BYTES = 65_536  # of output that is read at once; a longer line is shown in parts
_LOG_LIMIT_BYTES = 8 * 2**20
_STOP_GRACE_SECONDS = 10.0

# Loaded here, because a forked child may only call a function that is already loaded.
_libc = ctypes.CDLL(None, use_errno=True)


def bind_to_parent(parent: int, death_signal: int) -> None:
    """Ask the kernel to send `death_signal` to this process when its parent process ends, even if the parent is killed.

    `parent` is the id of the parent process; if that has ended already, this process exits at once. The signal is sent
    even when only the parent's thread that started this process ends. Call this function as the last step before exec:
    a later change of the user or the user namespace would cancel the request to the kernel.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before this call


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def end_with_make() -> None:
    """Let the kernel end this process by SIGTERM with the `make` that started it, if one did: a killed one cannot."""
    if "MAKELEVEL" in os.environ:
        bind_to_parent(os.getppid(), signal.SIGTERM)


@dataclass(slots=True)
class Child:
    """A child process that a `Supervisor` started. It writes to its log, so that no slow terminal keeps it waiting."""

    name: str
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals
    log: IO[bytes]
    start: int  # position in the log at which its output begins
    is_shown: bool
    position: int  # position in the log up to which its output was shown

    @property
    def pid(self) -> int:
        return self.process.pid

    def tail(self) -> str:
        """Return the last lines of the child's output, each on an indented line, or "" if it has no output."""
        size = os.fstat(self.log.fileno()).st_size
        lines = self._read(max(self.start, size - _TAIL_BYTES)).decode(errors="replace").splitlines()
        return "".join(f"\n    {line}" for line in lines[-_TAIL_LINES:])

    def next_lines(self) -> list[str]:
        """Return the next lines of the child's output, or [] if none is complete. A very long line comes in parts."""
        is_over = self.process.poll() is not None
        chunk = self._read(self.position)
        end = chunk.rfind(b"\n") + 1 or (len(chunk) if is_over or len(chunk) == _CHUNK_BYTES else 0)
        self.position += end
        return chunk[:end].decode(errors="replace").removesuffix("\n").split("\n") if end else []

    def _read(self, position: int) -> bytes:
        # By `pread`: the child shares the position of this file.
        return os.pread(self.log.fileno(), _CHUNK_BYTES, position)


class Supervisor:
    """Starts child processes, watches them and ends them. As a context manager, it ends them at the end of the block.

    `on_output` is called with the name of a child that is shown and lines of its output. Use a supervisor from the main
    thread only, because the kernel ends a child when the thread that started the child ends.
    """

    def __init__(
        self,
        *,
        on_output: Callable[[str, Sequence[str]], None] | None = None,
        grace_seconds: float = _STOP_GRACE_SECONDS,
    ) -> None:
        self.children: list[Child] = []
        self._keep_open: tuple[int, ...] = ()
        self._on_output = on_output
        self._grace_seconds = grace_seconds
        self._stop_requested = False
        self._is_stopping = False
        self._is_forced = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def request_stop(self) -> None:
        """Make the wait in progress raise StopRequested, or the next wait if none is in progress."""
        self._stop_requested = True
        self._is_forced = self._is_stopping

    def keep_open(self, descriptor: int) -> None:
        """Let the children that are started from now on inherit a file descriptor."""
        self._keep_open = (*self._keep_open, descriptor)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        is_shown: bool = False,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stdout: IO[bytes] | None = None,
    ) -> Child:
        """Start a child process in a new operating-system session, and return at once."""
        output = _open_log(log)
        start = os.fstat(output.fileno()).st_size

        try:
            process = subprocess.Popen(
                argv,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout or output,
                stderr=output,
                start_new_session=True,
                pass_fds=self._keep_open,
                preexec_fn=partial(bind_to_parent, os.getpid(), stop_signal),  # noqa: PLW1509 - it has one thread
            )
        except (OSError, subprocess.SubprocessError) as error:
            output.close()
            raise DevstackError(f"{name} cannot be started ({argv[0]}): {error}") from error
        child = Child(name, process, stop_signal, output, start, is_shown, position=start)
        self.children.append(child)
        return child

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        timeout: float,
        stdout: IO[bytes] | None = None,
    ) -> str:
        """Run a command, wait until it has ended, and return its standard output without the last line break."""
        with TemporaryFile("a+b") as result:
            child = self.start(name, argv, environment=environment, log=log, stdout=stdout or result)
            self.wait(lambda: child.process.poll() is not None, what=name, timeout=timeout, one_shot=child)
            result.seek(0)
            printed = result.read().decode(errors="replace")
        self.children.remove(child)
        with child.log:
            if child.process.returncode != 0:
                raise DevstackError(f"{name} failed (exit status {child.process.returncode}):{child.tail()}")
        return printed.removesuffix("\n")

    def wait(
        self, ready: Callable[[], bool], *, what: str, timeout: float, one_shot: Child | None = None
    ) -> None:
        """Call `ready()` repeatedly until it returns True. Raises DevstackError if a child ends meanwhile."""
        deadline = time.monotonic() + timeout
        while not ready():
            self.pause(_POLL_SECONDS, one_shot=one_shot)
            if time.monotonic() > deadline:
                child = one_shot or next((child for child in self.children if child.name == what), None)
                tail = child.tail() if child else ""
                raise DevstackError(f"{what} was not ready within {timeout:.0f} s{tail}")

    def pause(self, seconds: float, *, one_shot: Child | None = None) -> None:
        time.sleep(seconds)
        self._check(one_shot)

    def run_until_stopped(self) -> NoReturn:
        """Pass the output of the children to the supervisor's `on_output` until a stop is requested. Never returns."""
        while True:
            if not self._check(None):
                time.sleep(_FORWARD_SECONDS)

    def stop(self) -> None:
        self._is_stopping = True
        for child in reversed(self.children):
            self._stop_one(child)
        self.children.clear()

    def _stop_one(self, child: Child) -> None:
        with suppress(ProcessLookupError):
            child.process.send_signal(child.stop_signal)
        deadline = time.monotonic() + self._grace_seconds
        while child.process.poll() is None:
            time.sleep(_POLL_SECONDS)
            if self._is_forced or time.monotonic() > deadline:
                child.process.kill()
                child.process.wait()
        while self._forward(child) and not self._is_forced:
            pass
        child.log.close()

    def _check(self, one_shot: Child | None) -> bool:
        forwarded = [self._forward(child) for child in self.children]
        if self._stop_requested:
            raise StopRequested
        for child in self.children:
            if child is not one_shot and (status := child.process.poll()) is not None:
                raise DevstackError(f"{child.name} ended (exit status {status}){child.tail()}")
        return any(forwarded)

    def _forward(self, child: Child) -> bool:
        if not child.is_shown or self._on_output is None:
            return False
        if lines := child.next_lines():
            self._on_output(child.name, lines)
        return bool(lines)


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = path.open("a+b")
    if os.fstat(file.fileno()).st_size > _LOG_LIMIT_BYTES:
        file.truncate(0)
    return file
