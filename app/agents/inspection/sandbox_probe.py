"""Tries to break out of a sandbox, from inside.

Prints a JSON object with the obstacle that each attempt met, or null.

Runs as a script of its own, with the standard library only. The targets outside come as the first argument
(sandbox_check.py sets them up); an attempt does no harm if it succeeds.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

Targets = dict[str, str]

CHANGE_MODES = "change modes of the service's files"
WATCH_NAMES = "watch names in the service's folders"
READ_PRIVATE = "read private files below /etc"
READ_SHARED = "read others' files in /dev/shm"
OPEN_QUEUE = "open others' message queues"

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.shmat.restype = ctypes.c_void_p
_PTRACE_SEIZE, _PTRACE_DETACH = 0x4206, 17
_IN_CREATE = 0x100
_CLONE_NEWUSER = 0x10000000
_IPC_PRIVATE, _IPC_CREAT, _IPC_RMID = 0, 0o1000, 0
_SESSION_KEYRING = -3
_KEYCTL_GET_KEYRING_ID = 0
_IO_URING_SETUP, _CLONE3 = 425, 435
_CLONE = {"x86_64": 56, "aarch64": 220}
MQ_OPEN = {"x86_64": 240, "aarch64": 180}
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_SCHED_ATTR_BYTES, _SCHED_IDLE = 48, 5
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS, _IOPRIO_LAST = 1, 2 << 13 | 7  # the best-effort class, its last priority
_AF_VSOCK = 40
_IPPROTO_MPTCP = 262
_LARGE = 16 * 2**20
_SECONDS = 2


def _require(code: int) -> None:
    if code < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _require_answer(client: socket.socket, address: tuple[str, int] | str) -> None:
    client.settimeout(_SECONDS)
    client.connect(address)
    client.send(b"?")
    if not client.recv(1):
        raise OSError("there was no answer")


def _read_file(targets: Targets) -> None:
    Path(targets["file"]).read_text()


def _change_mode(targets: Targets) -> None:
    Path(targets["file"]).chmod(0o600)


def _watch_names(targets: Targets) -> None:
    watch = _LIBC.inotify_init()
    _require(watch)
    try:
        _require(_LIBC.inotify_add_watch(watch, os.path.dirname(targets["file"]).encode(), _IN_CREATE))  # noqa: PTH120 - for the C library
    finally:
        os.close(watch)


def _write_outside(targets: Targets) -> None:
    Path(targets["file"]).write_text("changed")


def _read_private_file(targets: Targets) -> None:
    Path(targets["private"]).read_bytes()


def _read_environment(targets: Targets) -> None:
    if targets["secret"].encode() not in Path(f"/proc/{targets['pid']}/environ").read_bytes():
        raise OSError("it is of another process")


def _open_memory(targets: Targets) -> None:
    os.close(os.open(f"/proc/{targets['pid']}/mem", os.O_RDWR))


def _signal(targets: Targets) -> None:
    os.kill(int(targets["pid"]), 0)


def _limit(targets: Targets) -> None:
    resource.prlimit(int(targets["pid"]), resource.RLIMIT_CORE, (0, 0))


def _reschedule(targets: Targets) -> None:
    """Slow the service down, by the first way that works."""
    pid = int(targets["pid"])
    idle = struct.pack("=IIQiIQQQ", _SCHED_ATTR_BYTES, _SCHED_IDLE, 0, 0, 0, 0, 0, 0)
    machine = platform.machine()
    ways: tuple[Callable[[], object], ...] = (
        lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
        lambda: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
        lambda: os.sched_setparam(pid, os.sched_param(0)),
        lambda: os.sched_setscheduler(pid, _SCHED_IDLE, os.sched_param(0)),
        lambda: _require(_LIBC.syscall(_SCHED_SETATTR.get(machine, -1), pid, idle, 0)),
        lambda: _require(_LIBC.syscall(_IOPRIO_SET.get(machine, -1), _IOPRIO_WHO_PROCESS, pid, _IOPRIO_LAST)),
    )
    refusal = OSError()
    for way in ways:
        try:
            way()
        except OSError as error:
            refusal = error
        else:
            return
    raise refusal


def _trace(targets: Targets) -> None:
    _require(_LIBC.ptrace(_PTRACE_SEIZE, int(targets["pid"]), None, None))
    _LIBC.ptrace(_PTRACE_DETACH, int(targets["pid"]), None, None)


def _connect_by_path(targets: Targets) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        _require_answer(client, targets["socket"])


def _connect_by_name(targets: Targets) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        _require_answer(client, "\0" + targets["abstract"])


def _connect_by_port(targets: Targets) -> None:
    with socket.socket() as client:
        _require_answer(client, ("127.0.0.1", int(targets["port"])))


def _send_datagram(targets: Targets) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        _require_answer(client, ("127.0.0.1", int(targets["datagrams"])))


def _connect_by_another_protocol(targets: Targets) -> None:
    with socket.socket(proto=_IPPROTO_MPTCP) as client:
        _require_answer(client, ("127.0.0.1", int(targets["port"])))


def _open_vsock(_targets: Targets) -> None:
    socket.socket(_AF_VSOCK, socket.SOCK_STREAM).close()


def _open_shared_memory(targets: Targets) -> None:
    Path(targets["shm"]).read_bytes()


def _attach_segment(targets: Targets) -> None:
    _require(_LIBC.shmget(int(targets["segment"]), 0, 0))


def _make_large_segment(_targets: Targets) -> None:
    segment = _LIBC.shmget(_IPC_PRIVATE, _LARGE, _IPC_CREAT | 0o600)
    _require(segment)
    _LIBC.shmctl(segment, _IPC_RMID, None)


def _make_queue(_targets: Targets) -> None:
    """Make a queue of System V, or else a semaphore."""
    queue = _LIBC.msgget(_IPC_PRIVATE, _IPC_CREAT | 0o600)
    if queue >= 0:
        _LIBC.msgctl(queue, _IPC_RMID, None)
        return
    semaphore = _LIBC.semget(_IPC_PRIVATE, 1, _IPC_CREAT | 0o600)
    _require(semaphore)
    _LIBC.semctl(semaphore, 0, _IPC_RMID)


def _open_queue(targets: Targets) -> None:
    queue = _LIBC.syscall(MQ_OPEN.get(platform.machine(), -1), targets["queue"].encode(), os.O_RDWR, 0, None)
    _require(queue)
    os.close(queue)


def _find_keyring(_targets: Targets) -> None:
    _require(_LIBC.syscall(_KEYCTL.get(platform.machine(), -1), _KEYCTL_GET_KEYRING_ID, _SESSION_KEYRING, 1))


def _make_ring(_targets: Targets) -> None:
    ring = _LIBC.syscall(_IO_URING_SETUP, 1, ctypes.create_string_buffer(256))
    _require(ring)
    os.close(ring)


def _become_root(_targets: Targets) -> None:
    """Make a user namespace, by the first call that works."""
    described = struct.pack("=8Q", _CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    clone = _CLONE.get(platform.machine(), -1)
    for call in ((clone, _CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0), (_CLONE3, described, len(described))):
        child = _LIBC.syscall(*call)
        if child == 0:
            os._exit(0)
        if child > 0:
            os.waitpid(child, 0)
            return
    _require(_LIBC.unshare(_CLONE_NEWUSER))


# The last attempt changes this process.
ATTEMPTS: dict[str, Callable[[Targets], None]] = {
    "read files of the service": _read_file,
    "write files of the service": _write_outside,
    CHANGE_MODES: _change_mode,
    WATCH_NAMES: _watch_names,
    READ_PRIVATE: _read_private_file,
    "read the service's environment": _read_environment,
    "open the service's memory": _open_memory,
    "signal the service": _signal,
    "limit the service": _limit,
    "slow the service down": _reschedule,
    "trace the service": _trace,
    "connect to UNIX sockets by path": _connect_by_path,
    "connect to UNIX sockets by name": _connect_by_name,
    "connect to ports of the machine": _connect_by_port,
    "connect to ports by another protocol": _connect_by_another_protocol,
    "send datagrams to the machine": _send_datagram,
    "reach the host of a virtual machine": _open_vsock,
    READ_SHARED: _open_shared_memory,
    "find others' System V segments": _attach_segment,
    "hide memory in System V segments": _make_large_segment,
    "hide memory in System V queues": _make_queue,
    OPEN_QUEUE: _open_queue,
    "use keyrings of the service": _find_keyring,
    "call the kernel by io_uring": _make_ring,
    "make a user namespace": _become_root,
}


def main() -> None:
    """Try each way to break out of this process's sandbox, and print the results to standard output.

    The output is a JSON object. It maps the name of each attempt to what stopped it, or to null if the attempt
    succeeded.
    """
    targets: Targets = json.loads(sys.argv[1])
    results: dict[str, str | None] = {}
    for name, attempt in ATTEMPTS.items():
        try:
            attempt(targets)
        except OSError as error:
            results[name] = error.strerror or str(error)
        else:
            results[name] = None
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
