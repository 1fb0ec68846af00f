"""Starts the commands of one clone inside its sandbox, one after the other, so that they share loopback and services.

The worker sends each request over a socket, whose descriptor is the argument, as one JSON object, with the write end
of a pipe for the command's output:

    {"run": [...], "directory": …, "environment": …}    answered when the command has ended: {"code": …}, or
                                                        {"failed": errno} if it could not be started
    {"serve": [...], …}                                 a service; answered when it has started: {"service": number}
    {"ended": number}                                   whether a service has ended: {"code": …}, null while it runs
    {"end": true}                                       ends the command under way
    {"become": [...], "directory": …}                   this process becomes the command; not answered

Without a pipe the output of a command is dropped.

When a command has ended, what it left running is killed; services go on until the sandbox ends. A script with the
standard library only.
"""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

_MESSAGE_BYTES = 2**20
_PR_SET_CHILD_SUBREAPER = 36
_CANNOT_RUN, _NOT_FOUND = 126, 127
_PAUSE_SECONDS = 0.005


class _Supervisor:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._services: list[subprocess.Popen[bytes]] = []
        self._received = b""

    def serve(self) -> None:
        while True:
            message, output = self._receive()
            if "become" in message:
                _become(message)
            elif "run" in message:
                self._answer(self._run(message, output))
            elif "serve" in message:
                self._answer(self._start_service(message, output))
            elif "ended" in message:
                self._answer({"code": self._services[message["ended"]].poll()})

    def _receive(self) -> tuple[dict[str, Any], int | None]:
        output = None
        while b"\n" not in self._received:
            content, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, 1)
            if not content:
                sys.exit(0)
            self._received += content
            output = descriptors[0] if descriptors else output
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line), output

    def _answer(self, answer: dict[str, Any]) -> None:
        self._control.sendall(json.dumps(answer).encode() + b"\n")

    def _run(self, message: dict[str, Any], output: int | None) -> dict[str, Any]:
        kept = _processes()
        try:
            process = _start(message["run"], message, output)
        except OSError as error:
            return {"failed": error.errno}
        ended = os.pidfd_open(process.pid)
        try:
            ready, _, _ = select.select([ended, self._control.fileno()], [], [])
            if ended not in ready:
                # The only request that comes meanwhile, or the end of the worker.
                self._receive()
                os.killpg(process.pid, signal.SIGKILL)
        finally:
            os.close(ended)
        code = process.wait()
        _kill_all_but(kept)
        return {"code": code}

    def _start_service(self, message: dict[str, Any], output: int | None) -> dict[str, Any]:
        try:
            self._services.append(_start(message["serve"], message, output))
        except OSError as error:
            return {"failed": error.errno}
        return {"service": len(self._services) - 1}


def _start(command: list[str], message: dict[str, Any], output: int | None) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 - a command of the repository, in its sandbox
            command,
            cwd=message["directory"],
            env=message["environment"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if output is None else output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        if output is not None:
            os.close(output)


def _kill_all_but(kept: set[int]) -> None:
    """Kill our descendants, except those in `kept` and what these have started since."""
    while True:
        parents = _parents()
        doomed = [pid for pid in _descendants(parents) if not _is_kept(pid, parents, kept)]
        if not doomed:
            return
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in doomed:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_PAUSE_SECONDS)


def _become(message: dict[str, Any]) -> "NoReturn":
    command = message["become"]
    os.chdir(message["directory"])
    try:
        os.execvp(command[0], command)  # noqa: S606 - without a shell
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode(errors="replace"))
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN)


def _parents() -> dict[int, int]:
    """Return the parent of each process in the sandbox, but of those that have ended."""
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names alone
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - the fastest way
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if fields[0] not in (b"Z", b"X"):
                found[int(name)] = int(fields[1])
    return found


def _descendants(parents: dict[int, int]) -> list[int]:
    own = os.getpid()
    return [pid for pid in parents if own in _line(pid, parents)]


def _line(pid: int, parents: dict[int, int]) -> list[int]:
    """Return the ancestors of a process."""
    line = []
    while (pid := parents.get(pid, 0)) and pid not in line:
        line.append(pid)
    return line


def _is_kept(pid: int, parents: dict[int, int], kept: set[int]) -> bool:
    return pid in kept or not kept.isdisjoint(_line(pid, parents))


def _processes() -> set[int]:
    return set(_descendants(_parents()))


def main() -> None:
    """Serve requests until the worker closes the socket."""
    # What a command leaves running becomes a child of this process, which finds and ends it.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _Supervisor(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
