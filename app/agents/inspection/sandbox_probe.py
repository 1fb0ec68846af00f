"""Tries to break out of a sandbox, from inside; prints the obstacle that each attempt met, or null, as JSON.

A script with the standard library only. Arguments: the targets (sandbox_check.py), and names of attempts, else all.
An attempt without its target is left out. None does harm if it succeeds.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path

Targets = dict[str, str]
Way = Callable[[], object]

CHANGE_MODES = "change modes of the service's files"
WATCH_NAMES = "watch names in the service's folders"
CONNECT_BY_NAME = "connect to UNIX sockets by name"
CONNECT_BY_PORT = "connect to ports of the machine"
SIGNAL = "signal the service"

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.shmat.restype = ctypes.c_void_p
_LIBC.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
_LIBC.shmdt.argtypes = [ctypes.c_void_p]
_FAILED = ctypes.c_void_p(-1).value
# Numbers of calls without a function in the C library; the same on all machines, and by machine.
_LANDLOCK_CREATE_RULESET, _IO_URING_SETUP, _CLONE3 = 444, 425, 435
_NUMBERS = {
    "x86_64": {
        "clone": 56,
        "ioprio_set": 251,
        "keyctl": 250,
        "mq_open": 240,
        "mq_unlink": 241,
        "sched_setattr": 314,
        "semtimedop": 220,
    },
    "aarch64": {
        "clone": 220,
        "ioprio_set": 30,
        "keyctl": 219,
        "mq_open": 180,
        "mq_unlink": 181,
        "sched_setattr": 274,
        "semtimedop": 192,
    },
}.get(platform.machine(), {})
_PTRACE_SEIZE, _PTRACE_DETACH = 0x4206, 17
_IN_CREATE = 0x100
_CLONE_NEWUSER = 0x10000000
_MNT_DETACH = 2
IPC_PRIVATE, IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_RMID, _IPC_STAT = 0, 0o1000, 0o2000, 0o4000, 0, 2
_SEM_GETVAL, _SHM_RDONLY = 12, 0o10000
_SESSION_KEYRING = -3
_KEYCTL_GET_KEYRING_ID = 0
_SCHED_ATTR_BYTES, _SCHED_IDLE = 48, 5
_IOPRIO_WHO_PROCESS, _IOPRIO_LAST = 1, 2 << 13 | 7  # the best-effort class, its last priority
_AF_VSOCK = 40
_IPPROTO_MPTCP = 262
_IPC_STAT_BYTES = 256
_LARGE = 16 * 2**20
_SECONDS = 2

# By name: the attempt, and the targets that it needs.
ATTEMPTS: dict[str, tuple[Callable[[Targets], object], tuple[str, ...]]] = {}


def _attempt(name: str, *needs: str) -> Callable[[Callable[[Targets], object]], None]:
    def register(function: Callable[[Targets], object]) -> None:
        ATTEMPTS[name] = function, needs

    return register


def _require(code: int) -> None:
    if code < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _require_found(found: object) -> None:
    if not found:
        raise OSError("it is not there")


def _call(name: str, *arguments: object) -> int:
    """Call the kernel; fails on a machine whose numbers are not known."""
    return int(_LIBC.syscall(_NUMBERS.get(name, -1), *arguments))


def _any_of(*ways: Way) -> None:
    """Try each way; fail only if all do."""
    refusals = []
    for way in ways:
        try:
            way()
        except OSError as error:
            refusals.append(error)
    if len(refusals) == len(ways):
        raise refusals[0]


def _ask(client: socket.socket, address: tuple[str, int] | str) -> None:
    with client:
        client.settimeout(_SECONDS)
        client.connect(address)
        client.send(b"?")
        _require_found(client.recv(1))


@_attempt("read files of the service")
def _(targets: Targets) -> None:
    Path(targets["file"]).read_text()


@_attempt("write files of the service")
def _(targets: Targets) -> None:
    Path(targets["file"]).write_text("changed")


@_attempt("list folders of the service")
def _(targets: Targets) -> None:
    _require_found(list(Path(targets["file"]).parent.iterdir()))


@_attempt("read hidden folders")
def _(targets: Targets) -> None:
    Path(targets["hidden"]).read_text()


@_attempt(CHANGE_MODES)
def _(targets: Targets) -> None:
    Path(targets["file"]).chmod(0o600)


@_attempt(WATCH_NAMES)
def _(targets: Targets) -> None:
    watch = _LIBC.inotify_init()
    _require(watch)
    try:
        folder = str(Path(targets["file"]).parent).encode()
        _require(_LIBC.inotify_add_watch(watch, folder, _IN_CREATE))
    finally:
        os.close(watch)


@_attempt("read private files below /etc", "private")
def _(targets: Targets) -> None:
    Path(targets["private"]).read_bytes()


@_attempt("write files of the system")
def _(_targets: Targets) -> None:
    def write(folder: str) -> None:
        path = f"{folder}/taskbeacon-escaped"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(path)  # noqa: PTH108 - no pathlib for what was opened without it

    _any_of(*(lambda folder=folder: write(folder) for folder in ("/usr", "/etc", "/", "/run", "/dev")))


@_attempt("write to switches of the kernel")
def _(_targets: Targets) -> None:
    switches = (
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sysrq-trigger",
        "/dev/mem",
    )
    _any_of(*(lambda path=path: os.close(os.open(path, os.O_WRONLY)) for path in switches))


@_attempt("read the service's environment")
def _(targets: Targets) -> None:
    def read(place: Path) -> None:
        _require_found(targets["secret"].encode() in place.read_bytes())

    # The process may have another number inside.
    own = Path(f"/proc/{targets['pid']}/environ")
    _any_of(*(lambda place=place: read(place) for place in (own, *Path("/proc").glob("[0-9]*/environ"))))


@_attempt("open the service's memory")
def _(targets: Targets) -> None:
    os.close(os.open(f"/proc/{targets['pid']}/mem", os.O_RDWR))


@_attempt("enter the service's root folder")
def _(targets: Targets) -> None:
    _require_found(list(Path(f"/proc/{targets['pid']}/root").iterdir()))


@_attempt("use descriptors of the service")
def _(_targets: Targets) -> None:
    names = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists()]
    _require_found([name for name in names if not name.startswith(("/dev/null", "/proc/", "pipe:"))])


@_attempt(SIGNAL)
def _(targets: Targets) -> None:
    os.kill(int(targets["pid"]), 0)


@_attempt("limit the service")
def _(targets: Targets) -> None:
    resource.prlimit(int(targets["pid"]), resource.RLIMIT_CORE, (0, 0))


@_attempt("slow the service down")
def _(targets: Targets) -> None:
    pid = int(targets["pid"])
    idle = struct.pack("=IIQiIQQQ", _SCHED_ATTR_BYTES, _SCHED_IDLE, 0, 0, 0, 0, 0, 0)
    _any_of(
        lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
        lambda: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
        lambda: os.sched_setparam(pid, os.sched_param(0)),
        lambda: os.sched_setscheduler(pid, _SCHED_IDLE, os.sched_param(0)),
        lambda: _require(_call("sched_setattr", pid, idle, 0)),
        lambda: _require(_call("ioprio_set", _IOPRIO_WHO_PROCESS, pid, _IOPRIO_LAST)),
    )


@_attempt("trace the service")
def _(targets: Targets) -> None:
    _require(_LIBC.ptrace(_PTRACE_SEIZE, int(targets["pid"]), None, None))
    _LIBC.ptrace(_PTRACE_DETACH, int(targets["pid"]), None, None)


@_attempt("connect to UNIX sockets by path")
def _(targets: Targets) -> None:
    _ask(socket.socket(socket.AF_UNIX), targets["socket"])


@_attempt(CONNECT_BY_NAME)
def _(targets: Targets) -> None:
    _ask(socket.socket(socket.AF_UNIX), "\0" + targets["abstract"])


@_attempt(CONNECT_BY_PORT)
def _(targets: Targets) -> None:
    port = int(targets["port"])
    _any_of(
        lambda: _ask(socket.socket(), ("127.0.0.1", port)),
        lambda: _ask(socket.socket(), ("0.0.0.0", port)),  # noqa: S104 - connects to it
    )


@_attempt("connect to ports by another protocol")
def _(targets: Targets) -> None:
    _ask(socket.socket(proto=_IPPROTO_MPTCP), ("127.0.0.1", int(targets["port"])))


@_attempt("send datagrams to the machine")
def _(targets: Targets) -> None:
    _ask(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ("127.0.0.1", int(targets["datagrams"])))


@_attempt("reach other machines", "public")
def _(targets: Targets) -> None:
    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", (targets["public"], 53))

    _any_of(send, lambda: socket.getaddrinfo(f"{targets['secret']}.example.com", 80))


@_attempt("open raw sockets")
def _(_targets: Targets) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


@_attempt("reach the host of a virtual machine")
def _(_targets: Targets) -> None:
    socket.socket(_AF_VSOCK, socket.SOCK_STREAM).close()


@_attempt("read others' files in /dev/shm", "shm")
def _(targets: Targets) -> None:
    Path(targets["shm"]).read_bytes()


@_attempt("find others' System V memory", "segment")
def _(targets: Targets) -> None:
    _require(_LIBC.shmget(int(targets["segment"]), 0, 0))


@_attempt("use others' System V memory by id", "segment_id")
def _(targets: Targets) -> None:
    segment = int(targets["segment_id"])

    def attach() -> None:
        at = _LIBC.shmat(segment, None, _SHM_RDONLY)
        _require(-1 if at == _FAILED else 0)
        _LIBC.shmdt(at)

    _any_of(
        attach,
        lambda: _require(_LIBC.shmctl(segment, _IPC_STAT, ctypes.create_string_buffer(_IPC_STAT_BYTES))),
    )


@_attempt("use others' System V queues by id", "queue_id")
def _(targets: Targets) -> None:
    queue, message = int(targets["queue_id"]), ctypes.create_string_buffer(struct.pack("@l", 1) + b"?")
    _any_of(
        lambda: _require(_LIBC.msgctl(queue, _IPC_STAT, ctypes.create_string_buffer(_IPC_STAT_BYTES))),
        lambda: _require(_LIBC.msgsnd(queue, message, 1, IPC_NOWAIT)),
        lambda: _require(_LIBC.msgrcv(queue, message, 1, 0, IPC_NOWAIT)),
    )


@_attempt("use others' System V semaphores by id", "semaphore_id")
def _(targets: Targets) -> None:
    semaphore, rise = int(targets["semaphore_id"]), struct.pack("=Hhh", 0, 1, IPC_NOWAIT)
    _any_of(
        lambda: _require(_LIBC.semctl(semaphore, 0, _SEM_GETVAL)),
        lambda: _require(_LIBC.semop(semaphore, rise, 1)),
        lambda: _require(_LIBC.semtimedop(semaphore, rise, 1, None)),
    )


@_attempt("hide memory in System V memory")
def _(_targets: Targets) -> None:
    segment = _LIBC.shmget(IPC_PRIVATE, _LARGE, IPC_CREAT | 0o600)
    _require(segment)
    _LIBC.shmctl(segment, IPC_RMID, None)


@_attempt("hide memory in System V queues")
def _(_targets: Targets) -> None:
    def make_queue() -> None:
        queue = _LIBC.msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
        _require(queue)
        _LIBC.msgctl(queue, IPC_RMID, None)

    def make_semaphore() -> None:
        semaphore = _LIBC.semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
        _require(semaphore)
        _LIBC.semctl(semaphore, 0, IPC_RMID)

    _any_of(make_queue, make_semaphore)


@_attempt("hide memory in rules of Landlock", "landlock")
def _(_targets: Targets) -> None:
    handled = struct.pack("=QQ", 0, 1)  # files, network
    rules = _LIBC.syscall(_LANDLOCK_CREATE_RULESET, handled, len(handled), 0)
    _require(rules)
    os.close(rules)


@_attempt("open others' message queues", "queue")
def _(targets: Targets) -> None:
    def open_queue() -> None:
        queue = _call("mq_open", targets["queue"].encode(), os.O_RDWR, 0, None)
        _require(queue)
        os.close(queue)

    # The last way removes it.
    _any_of(open_queue, lambda: _require(_call("mq_unlink", targets["queue"].encode())))


@_attempt("use keyrings of the service")
def _(_targets: Targets) -> None:
    _require(_call("keyctl", _KEYCTL_GET_KEYRING_ID, _SESSION_KEYRING, 1))


@_attempt("call the kernel by io_uring")
def _(_targets: Targets) -> None:
    ring = _LIBC.syscall(_IO_URING_SETUP, 1, ctypes.create_string_buffer(256))
    _require(ring)
    os.close(ring)


@_attempt("make devices")
def _(_targets: Targets) -> None:
    os.mknod("device", stat.S_IFBLK | 0o600, os.makedev(7, 0))


@_attempt("change mounts")
def _(_targets: Targets) -> None:
    here = str(Path.cwd()).encode()
    _any_of(
        lambda: _require(_LIBC.mount(b"none", here, b"tmpfs", 0, None)),
        lambda: _require(_LIBC.umount2(b"/proc", _MNT_DETACH)),
    )


@_attempt("get privileges of root")
def _(_targets: Targets) -> None:
    def privileges() -> None:
        lines = Path("/proc/self/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        # Without this, a program of root's with its bit set would have them.
        may_gain = status["NoNewPrivs"].strip() != "1"
        _require_found(may_gain or any(int(status[name], 16) for name in ("CapEff", "CapPrm", "CapAmb")))

    def become_root() -> None:
        os.setresuid(0, 0, 0)
        privileges()  # a worker that is root has agents that are, but without capabilities

    _any_of(privileges, become_root)


# From here on an attempt that succeeds changes this process.
@_attempt("change the root folder")
def _(_targets: Targets) -> None:
    os.chroot(Path.cwd())


@_attempt("enter namespaces of the service")
def _(targets: Targets) -> None:
    _require(_LIBC.setns(os.open(f"/proc/{targets['pid']}/ns/net", os.O_RDONLY), 0))


@_attempt("make a user namespace")
def _(_targets: Targets) -> None:
    described = struct.pack("=8Q", _CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)

    def fork(code: int) -> None:
        if code == 0:
            os._exit(0)
        _require(code)
        os.waitpid(code, 0)

    _any_of(
        lambda: fork(_call("clone", _CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)),
        lambda: fork(_LIBC.syscall(_CLONE3, described, len(described))),
        lambda: _require(_LIBC.unshare(_CLONE_NEWUSER)),
    )


def main() -> None:
    """Make the attempts, and print what stopped each as a JSON object, null if nothing did."""
    targets: Targets = json.loads(sys.argv[1])
    results: dict[str, str | None] = {}
    for name in sys.argv[2:] or ATTEMPTS:
        attempt, needs = ATTEMPTS[name]
        if not all(targets[need] for need in needs):
            continue
        try:
            attempt(targets)
        except OSError as error:
            results[name] = error.strerror or str(error)
        else:
            results[name] = None
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
