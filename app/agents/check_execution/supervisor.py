"""The program in a sandbox that runs the commands of one clone in turn, with shared loopback and services.

The worker sends each request as a line of JSON over a socket, whose descriptor is the argument:

    {"command": [...], "directory": …, "environment": …, "seconds": …}    answered when it has ended
    {"ready": [...] or null, "silent": …, and these}                      a service; answered when it is ready
    {"become": [...], "directory": …}                                     this process becomes the command; no answer

An answer is a packed ANSWER: how it went, a number and the length of the output, which follows. When a command has
ended, what it left running is killed; services run until the sandbox ends. A script with the standard library only.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NotRequired, TypedDict

ANSWER = struct.Struct("!BiI")
# The number in an answer is an exit code for ENDED, an errno for NOT_STARTED, and unused for the others.
ENDED, NOT_STARTED, TIMED_OUT, READY = range(4)
KEPT_BYTES = 5 * 2**20
_CUT = b"\n[... %d bytes are left out here ...]\n"
_READ_BYTES = 2**16
_PR_SET_CHILD_SUBREAPER = 36
_KILL_PAUSE_SECONDS = 0.005
_READY_PAUSE_SECONDS = 0.2
PROBE_SECONDS = 5
# How long to read the rest of an output. A service, which must not be killed, may keep it open.
_REST_SECONDS = 1.0


class Request(TypedDict):
    """A command to run; with `ready` it is a service, which is ready when `ready` ends with 0, or at once."""

    command: Sequence[str]
    directory: str
    environment: Mapping[str, str]
    seconds: float
    ready: NotRequired[Sequence[str] | None]
    silent: NotRequired[bool]


class _Output:
    """Reads the output of a command, and keeps its head and its tail."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self._head, self._tail = bytearray(), bytearray()
        self._left_out = 0
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        while chunk := os.read(self._reader, _READ_BYTES):
            room = KEPT_BYTES - len(self._head)
            self._head += chunk[:room]
            self._tail += chunk[room:]
            if (excess := len(self._tail) - KEPT_BYTES) > 0:
                del self._tail[:excess]
                self._left_out += excess
        os.close(self._reader)

    def kept(self, seconds: float) -> bytes:
        """Return the kept output, at its end or after so many seconds."""
        self._reading.join(seconds)
        cut = _CUT % self._left_out if self._left_out else b""
        return bytes(self._head + cut + self._tail)


def _execute(request: Request) -> tuple[int, int, bytes]:
    kept, is_service = _children(), "ready" in request
    # The output of a silent service goes nowhere: this process, which would read it, becomes the agent.
    output = None if request.get("silent") else _Output()
    try:
        process = _start(request, output.writer if output else subprocess.DEVNULL)
    except OSError as error:
        return NOT_STARTED, error.errno or 0, b""
    finally:
        if output:
            os.close(output.writer)
    if is_service:
        outcome, code = _await_ready(process, request)
    else:
        outcome, code = _await_end(process, request["seconds"])
        _kill_all_but(kept)
    return outcome, code, output.kept(0 if is_service else _REST_SECONDS) if output else b""


def _start(request: Request, output: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - a command of the repository, in its sandbox
        request["command"],
        cwd=request["directory"],
        env=request["environment"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _await_end(process: "subprocess.Popen[bytes]", seconds: float) -> tuple[int, int]:
    try:
        return ENDED, process.wait(seconds)
    except subprocess.TimeoutExpired:
        return TIMED_OUT, 0


def _await_ready(service: "subprocess.Popen[bytes]", request: Request) -> tuple[int, int]:
    ends_at, ready = time.monotonic() + request["seconds"], request.get("ready")
    while ready is not None and not _succeeds({**request, "command": ready}, ends_at - time.monotonic()):
        if (code := service.poll()) is not None:
            return ENDED, code
        if time.monotonic() > ends_at:
            return TIMED_OUT, 0
        time.sleep(_READY_PAUSE_SECONDS)
    return READY, 0


def _succeeds(request: Request, seconds: float) -> bool:
    try:
        probe = _start(request, subprocess.DEVNULL)
    except OSError:
        return False
    has_succeeded = _await_end(probe, min(seconds, PROBE_SECONDS)) == (ENDED, 0)
    # Only the session of the probe: the service may have started other processes meanwhile.
    _kill_all_but(set(), probe.pid)
    return has_succeeded


def _kill_all_but(kept: set[int], session: int | None = None) -> None:
    # Repeated, because the children of a killed process become children of this one.
    while doomed := _children(session) - kept:
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_KILL_PAUSE_SECONDS)


def _children(session: int | None = None) -> set[int]:
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - names alone
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - the fastest way
            _, parent, _, leader, *_ = file.read().rpartition(b")")[2].split()
            if int(parent) == os.getpid() and session in {None, int(leader)}:
                found.add(int(name))
    return found


def main() -> None:
    """Serve requests until the worker closes the socket."""
    # What a command leaves running becomes a child of this process, which finds and ends it.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    for line in control.makefile("rb"):
        request = json.loads(line)
        if "become" in request:
            os.chdir(request["directory"])
            os.execvp(request["become"][0], request["become"])  # noqa: S606 - without a shell
        outcome, number, output = _execute(request)
        control.sendall(ANSWER.pack(outcome, number, len(output)) + output)


if __name__ == "__main__":
    main()
