"""Start child processes, await them, and end every one of them again, whatever happens to this process.

A child dies with its launcher in three ways: an orderly `stop()`, the parent-death signal of the kernel when the
launcher was killed, and the watchdog for whoever hangs or was started by a child. This module knows nothing about
which programs it runs.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

from app.devstack import watchdog
from app.devstack.errors import DevstackError, StopRequested

__all__ = ["Child", "Supervisor"]

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.02
_TAIL_LINES = 15
_TAIL_BYTES = 16_384
_LOG_LIMIT_BYTES = 8 * 2**20
_STOP_GRACE_SECONDS = 10.0

# Loaded before any fork: the child of a fork should do no more than call it.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def bind_to_parent(parent: int, death_signal: int) -> None:
    """Ask the kernel, in a forked child, for `death_signal` when the spawning thread of the parent ends.

    Changing user or user namespace clears the request, so this comes last before exec.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before the kernel knew of our wish


@dataclass(slots=True)
class Child:
    """A running process and where its output goes: a log file, or lines to whoever supervises."""

    name: str
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals
    log: Path | None = None
    log_start: int = 0
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    partial_line: bytes = b""

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its session."""
        return self.process.pid

    def tail(self) -> str:
        """Return the last lines of output since the start, indented; empty when it said nothing."""
        lines: Sequence[str] = tuple(self.last_lines)
        if self.log is not None:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self.log_start, size - _TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return "".join(f"\n    {line}" for line in lines)


class Supervisor:
    """The children of this process. Use it from the main thread: the parent-death signal follows the thread.

    `stop()` is safe to call twice. Entering it as a context stops everything at the end.
    """

    def __init__(self, *, on_output: Callable[[str, str], None] | None = None) -> None:
        self.children: list[Child] = []
        self._keep_open: tuple[int, ...] = ()
        self._on_output = on_output
        self._selector = selectors.DefaultSelector()
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._stop_requested = False
        self._is_stopping = False
        self._is_hurried = False
        self._terminal: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def request_stop(self) -> None:
        """Make the current or next wait raise StopRequested; callable from a signal handler.

        While `stop()` is under way it ends all graces.
        """
        self._stop_requested = True
        self._is_hurried = self._is_stopping

    def stop_with_terminal(self) -> None:
        """Stop when the terminal that this process was started from is gone.

        The kernel signals its foreground only, and a shell its own jobs: without this, what was started in the
        background of another session leader would stay.
        """
        with suppress(OSError):  # there is none
            self._terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)

    def keep_open(self, descriptor: int) -> None:
        """Let the children started from now on inherit the file descriptor."""
        self._keep_open = (*self._keep_open, descriptor)

    def remove_if_killed(self, *paths: Path) -> None:
        """Have these files and folders removed should this process be killed; a clean stop leaves them alone."""
        for path in paths:
            self._tell_watchdog(f"path {path}")

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path | None = None,
        log: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        prepare: Callable[[], None] | None = None,
        forward: bool = False,
    ) -> Child:
        """Start a process in a session of its own.

        Its output goes to the log, or line by line to `on_output` where there is none; with `forward` the standard
        output goes there and the rest to the log.
        `prepare` runs in the child before exec. Raises DevstackError when the program cannot be started.
        """
        parent = os.getpid()
        output = _open_log(log) if log is not None else None
        log_start = output.tell() if output is not None else 0
        standard_output = subprocess.PIPE if output is None or forward else output
        standard_error = subprocess.STDOUT if output is None else output

        def before_exec() -> None:
            if prepare is not None:
                prepare()
            bind_to_parent(parent, stop_signal)

        try:
            process = subprocess.Popen(
                argv,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=standard_output,
                stderr=standard_error,
                start_new_session=True,
                pass_fds=self._keep_open,
                preexec_fn=before_exec,  # noqa: PLW1509 - the launcher has one thread
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise DevstackError(f"{name} cannot be started ({argv[0]}): {error}") from error
        finally:
            if output is not None:
                output.close()
        child = Child(name, process, stop_signal, log, log_start)
        self.children.append(child)
        self._tell_watchdog(f"pid {child.pid}")
        if process.stdout is not None:
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ, child)
        return child

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path | None = None,
        timeout: float,
        prepare: Callable[[], None] | None = None,
    ) -> str:
        """Run a command to its end and return what it printed; with `log`, the standard output only.

        Raises DevstackError with the last lines when it fails or takes too long.
        """
        lines: list[str] = []
        outer, self._on_output = self._on_output, _collect_from(name, lines, self._on_output)
        try:
            child = self.start(name, argv, environment=environment, log=log, prepare=prepare, forward=True)
            self.wait(lambda: child.process.poll() is not None, what=name, timeout=timeout, one_shot=child)
            self._drain(child)
        finally:
            self._on_output = outer
        self.children.remove(child)
        self._forget(child)
        if child.process.returncode != 0:
            raise DevstackError(f"{name} failed (exit status {child.process.returncode}):{child.tail()}")
        return "\n".join(lines)

    def wait(
        self,
        ready: Callable[[], bool],
        *,
        what: str,
        timeout: float,
        every: float = _POLL_SECONDS,
        one_shot: Child | None = None,
    ) -> None:
        """Return when `ready()` holds; it is asked after each `every` seconds.

        Raises DevstackError when a child (other than `one_shot`) ends meanwhile or the time is over, StopRequested
        after `request_stop()`.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            pause = time.monotonic() + every
            while (left := pause - time.monotonic()) > 0:
                self.pump(left)
            self._check_children(one_shot)
            if time.monotonic() > deadline:
                child = one_shot or next((child for child in self.children if child.name == what), None)
                tail = child.tail() if child else ""
                raise DevstackError(f"{what} was not ready within {timeout:.0f} s{tail}")

    def run_until_stopped(self) -> NoReturn:
        """Forward output until StopRequested, or until a child ends by itself (DevstackError)."""
        while True:
            self.pump(_POLL_SECONDS * 10)
            self._check_children(None)

    def pump(self, seconds: float) -> None:
        """Forward what children print; wait at most `seconds` for something."""
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            child: Child = key.data
            self._read(child)

    def stop(self) -> None:
        """End all children, the last started first; kill those that do not stop in time, and what they left."""
        if not self.children and self._watchdog is None:
            return
        self._is_stopping = True
        processes = watchdog.snapshot(child.pid for child in self.children)
        for child in reversed(self.children):
            self._stop_one(child)
        watchdog.kill_survivors(processes, grace=0.5)
        for child in self.children:
            self._forget(child)
        self.children.clear()
        self._dismiss_watchdog()

    def _stop_one(self, child: Child) -> None:
        with suppress(ProcessLookupError):
            child.process.send_signal(child.stop_signal)
        deadline = time.monotonic() + _STOP_GRACE_SECONDS
        while child.process.poll() is None:
            # Keep reading: a child that blocks on a full pipe could not end.
            self.pump(_POLL_SECONDS)
            if self._is_hurried or time.monotonic() > deadline:
                child.process.kill()
                child.process.wait()
        self._drain(child)

    def _check_children(self, one_shot: Child | None) -> None:
        if self._terminal is not None and not os.isatty(self._terminal):
            self._stop_requested = True
        if self._stop_requested:
            raise StopRequested
        for child in self.children:
            if child is not one_shot and (status := child.process.poll()) is not None:
                self._drain(child)
                raise DevstackError(f"{child.name} ended (exit status {status}){child.tail()}")

    def _read(self, child: Child) -> bool:
        """Forward what can be read at once; False when there is nothing (any more)."""
        pipe = child.process.stdout
        if pipe is None or pipe.closed:
            return False
        try:
            chunk = os.read(pipe.fileno(), 65_536)
        except BlockingIOError:
            return False
        if not chunk:
            self._selector.unregister(pipe)
            pipe.close()
        lines = (child.partial_line + chunk).split(b"\n")
        child.partial_line = lines.pop()
        for line in lines:
            text = line.decode(errors="replace")
            child.last_lines.append(text)
            if self._on_output is not None:
                self._on_output(child.name, text)
        return bool(chunk)

    def _drain(self, child: Child) -> None:
        while self._read(child):
            continue

    def _forget(self, child: Child) -> None:
        child.process.wait()
        pipe = child.process.stdout
        if pipe is not None and not pipe.closed:
            self._selector.unregister(pipe)
            pipe.close()

    def _tell_watchdog(self, line: str) -> None:
        if self._watchdog is None:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(watchdog.__file__))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        assert self._watchdog.stdin is not None
        with suppress(BrokenPipeError):  # somebody killed the watchdog; the parent-death signal remains
            self._watchdog.stdin.write(f"{line}\n".encode())
            self._watchdog.stdin.flush()

    def _dismiss_watchdog(self) -> None:
        if self._watchdog is not None:
            self._tell_watchdog(watchdog.CLEAN_STOP)
            self._watchdog.communicate()
            self._watchdog = None


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = path.open("ab")
    if file.tell() > _LOG_LIMIT_BYTES:
        file.truncate(0)
    return file


def _collect_from(
    name: str, lines: list[str], others: Callable[[str, str], None] | None
) -> Callable[[str, str], None]:
    def on_output(source: str, line: str) -> None:
        if source == name:
            lines.append(line)
        elif others is not None:
            others(source, line)

    return on_output
