"""Attacks each wall of a sandbox once, from inside; prints the obstacle that each attempt met, or null, as JSON.

A script with the standard library only. Arguments: the targets (sandbox_check.py), and names of attempts, else all.
An attempt without its target is left out. None does harm if it succeeds. More attempts: tests/sandbox/attempts.py.
"""

import ctypes
import json
import os
import platform
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

Targets = dict[str, str]

CHANGE_MODES = "change modes of the service's files"
WATCH_NAMES = "watch names in the service's folders"
CONNECT_BY_NAME = "connect to UNIX sockets by name"
CONNECT_BY_PORT = "connect to ports of the machine"
SIGNAL = "signal the service"
PRIVILEGES = "get privileges of root"

LIBC = ctypes.CDLL(None, use_errno=True)
IPC_STAT, IPC_STAT_BYTES = 2, 256
_KEYCTL = 250 if platform.machine() == "x86_64" else 219  # has no function in the C library
_KEYCTL_GET_KEYRING_ID, _SESSION_KEYRING = 0, -3
_IN_CREATE = 0x100
_SECONDS = 2

# The attempts by name, each with the targets that it needs.
ATTEMPTS: dict[str, tuple[Callable[[Targets], object], tuple[str, ...]]] = {}


def attempt(name: str, *needs: str) -> Callable[[Callable[[Targets], object]], None]:
    """Register a function that raises OSError if it is stopped."""

    def register(function: Callable[[Targets], object]) -> None:
        ATTEMPTS[name] = function, needs

    return register


def require(code: int) -> None:
    """Raise the error of a call of the C library that failed."""
    if code < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def require_found(found: object) -> None:
    if not found:
        raise OSError("it is not there")


def any_of(*ways: Callable[[], object]) -> None:
    """Try each way; fail only if all do."""
    refusals = []
    for way in ways:
        try:
            way()
        except OSError as error:
            refusals.append(error)
    if len(refusals) == len(ways):
        raise refusals[0]


def ask(client: socket.socket, address: tuple[str, int] | str) -> None:
    """Fail unless the target answers."""
    with client:
        client.settimeout(_SECONDS)
        client.connect(address)
        client.send(b"?")
        require_found(client.recv(1))


@attempt("read files of the service")
def _(targets: Targets) -> None:
    Path(targets["file"]).read_text()


@attempt("write files of the service")
def _(targets: Targets) -> None:
    Path(targets["file"]).write_text("changed")


@attempt("read hidden folders")
def _(targets: Targets) -> None:
    Path(targets["hidden"]).read_text()


@attempt(CHANGE_MODES)
def _(targets: Targets) -> None:
    Path(targets["file"]).chmod(0o600)


@attempt(WATCH_NAMES)
def _(targets: Targets) -> None:
    watch = LIBC.inotify_init()
    require(watch)
    try:
        folder = str(Path(targets["file"]).parent).encode()
        require(LIBC.inotify_add_watch(watch, folder, _IN_CREATE))
    finally:
        os.close(watch)


@attempt("write files of the system")
def _(_targets: Targets) -> None:
    path = "/usr/taskbeacon-escaped"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.unlink(path)  # noqa: PTH108 - no pathlib for what was opened without it


@attempt("read the service's environment")
def _(targets: Targets) -> None:
    def read(place: Path) -> None:
        require_found(targets["secret"].encode() in place.read_bytes())

    # The process may have another id inside.
    own = Path(f"/proc/{targets['pid']}/environ")
    any_of(*(lambda place=place: read(place) for place in (own, *Path("/proc").glob("[0-9]*/environ"))))


@attempt(SIGNAL)
def _(targets: Targets) -> None:
    os.kill(int(targets["pid"]), 0)


@attempt("limit the service")
def _(targets: Targets) -> None:
    resource.prlimit(int(targets["pid"]), resource.RLIMIT_CORE, (0, 0))


@attempt("connect to UNIX sockets by path")
def _(targets: Targets) -> None:
    ask(socket.socket(socket.AF_UNIX), targets["socket"])


@attempt(CONNECT_BY_NAME)
def _(targets: Targets) -> None:
    ask(socket.socket(socket.AF_UNIX), "\0" + targets["abstract"])


@attempt(CONNECT_BY_PORT)
def _(targets: Targets) -> None:
    ask(socket.socket(), ("127.0.0.1", int(targets["port"])))


@attempt("send datagrams to the machine")
def _(targets: Targets) -> None:
    ask(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ("127.0.0.1", int(targets["datagrams"])))


@attempt("read others' files in /dev/shm", "shm")
def _(targets: Targets) -> None:
    Path(targets["shm"]).read_bytes()


@attempt("use others' System V memory by id", "segment_id")
def _(targets: Targets) -> None:
    description = ctypes.create_string_buffer(IPC_STAT_BYTES)
    require(LIBC.shmctl(int(targets["segment_id"]), IPC_STAT, description))


@attempt("use keyrings of the service")
def _(_targets: Targets) -> None:
    require(LIBC.syscall(_KEYCTL, _KEYCTL_GET_KEYRING_ID, _SESSION_KEYRING, 1))


@attempt("change mounts")
def _(_targets: Targets) -> None:
    require(LIBC.mount(b"none", str(Path.cwd()).encode(), b"tmpfs", 0, None))


@attempt(PRIVILEGES)
def _(_targets: Targets) -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    # Else a program of root with the setuid bit would have capabilities.
    may_gain = status["NoNewPrivs"].strip() != "1"
    require_found(may_gain or any(int(status[name], 16) for name in ("CapEff", "CapPrm", "CapAmb")))


def main() -> None:
    """Make the attempts, and print what stopped each as a JSON object, null if nothing did."""
    targets: Targets = json.loads(sys.argv[1])
    results: dict[str, str | None] = {}
    for name in sys.argv[2:] or ATTEMPTS:
        attack, needs = ATTEMPTS[name]
        if not all(targets[need] for need in needs):
            continue
        try:
            attack(targets)
        except OSError as error:
            results[name] = error.strerror or str(error)
        else:
            results[name] = None
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
