"""A filter of system calls that closes gaps of bubblewrap and Landlock: a BPF program, as bytes.

It refuses keyrings, io_uring, user namespaces, unusual sockets, and memory that no limit counts; under Landlock, where
an agent runs among other processes of its user, also calls that act on these, and on shared objects by name or id.
ptrace stays: both confine it.
"""

import errno
import platform
import struct
from collections.abc import Iterator
from itertools import chain

# By the output of `uname -m`: the AUDIT_ARCH_* constant, and the column of its call numbers in _NUMBERS.
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clone": (56, 220),
    "clone3": (435, 435),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30),
    "keyctl": (250, 219),
    "landlock_create_ruleset": (444, 444),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "perf_event_open": (298, 241),
    "prlimit64": (302, 261),
    "request_key": (249, 218),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semctl": (66, 191),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setsockopt": (54, 208),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "socket": (41, 198),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}

_X32 = 0x40000000  # numbers of the x32 interface to the same kernel
_NEW_USER = 0x10000000
_PRIO_USER, _IOPRIO_WHO_USER = 2, 3
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _TCP = 1, 6
_SOL_SOCKET, _SO_SNDBUF, _SO_RCVBUF = 1, 7, 8
# PostgreSQL needs one small segment; 4,096 of this size hide only 64 MiB.
_SEGMENT_BYTES = 16 * 1024

# Codes of the kernel's BPF, and the offsets of the call's number, architecture and arguments.
_LOAD, _EQUAL, _GREATER, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW = 0x7FFF0000

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand
_Check = tuple[_Instruction, ...]  # refuses the call, or falls through


def _refuse(error: int) -> _Instruction:
    return _RETURN, 0, 0, 0x00050000 | error


def _always(error: int = errno.EPERM) -> _Check:
    return (_refuse(error),)


def _if(code: int, argument: int, operand: int, error: int = errno.EPERM) -> _Check:
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument), (code, 0, 1, operand), _refuse(error)


def _unless(argument: int, *values: int, error: int = errno.EPERM) -> _Check:
    compared = [(_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)]
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument), *compared, _refuse(error)


# Larger buffers would be memory of no process. The calls succeed without effect: the kernel often grants less than
# requested anyway, and programs do not expect an error.
_KEEP_BUFFERS: _Check = (
    (_LOAD, 0, 0, _ARGUMENTS_AT + 8),
    (_EQUAL, 0, 4, _SOL_SOCKET),
    (_LOAD, 0, 0, _ARGUMENTS_AT + 16),
    (_EQUAL, 1, 0, _SO_SNDBUF),
    (_EQUAL, 0, 1, _SO_RCVBUF),
    _refuse(0),
)
# Allowed only for the calling process itself, as process id 0.
_OTHERS = _unless(0, 0)
_EVERYWHERE: dict[str, _Check] = {
    **dict.fromkeys(("add_key", "request_key", "keyctl"), _always()),
    **dict.fromkeys(("io_uring_setup", "io_uring_enter", "io_uring_register"), _always()),
    **dict.fromkeys(("bpf", "perf_event_open", "userfaultfd", "setns"), _always()),
    "unshare": _if(_ANY_BIT, 0, _NEW_USER),
    "clone": _if(_ANY_BIT, 0, _NEW_USER),
    # A filter cannot read its flags, which are in memory. On this error the C library falls back to `clone`.
    "clone3": _always(errno.ENOSYS),
    # No limit counts the memory of rules, 4.5 MB for 65,536 ports. Programs cope with a kernel without Landlock.
    "landlock_create_ruleset": _always(errno.ENOSYS),
    "socket": _unless(0, _UNIX, _INET, _INET6, _NETLINK, error=errno.EAFNOSUPPORT),
    **dict.fromkeys(("msgget", "semget"), _always(errno.ENOSPC)),
    "shmget": _if(_GREATER, 1, _SEGMENT_BYTES, errno.ENOSPC),
    "setsockopt": _KEEP_BUFFERS,
}
_AMONG_OTHERS: dict[str, _Check] = {
    **dict.fromkeys(
        ("prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"), _OTHERS
    ),
    # These can also name all processes of the user, which is refused too.
    "setpriority": (*_if(_EQUAL, 0, _PRIO_USER), *_unless(1, 0)),
    "ioprio_set": (*_if(_EQUAL, 0, _IOPRIO_WHO_USER), *_unless(1, 0)),
    # A Unix socket with a path may be the service's; Landlock cannot restrict which one is connected to.
    "socket": _unless(0, _INET, _INET6, _NETLINK, error=errno.EACCES),
    **dict.fromkeys(("mq_open", "mq_unlink", "shmget"), _always(errno.EACCES)),
    # These take ids, which /proc/sysvipc lists, of objects that other processes made.
    **dict.fromkeys(
        ("shmat", "shmctl", "msgrcv", "msgsnd", "msgctl", "semop", "semtimedop", "semctl"), _always()
    ),
}
# Other protocols would bypass Landlock's rules for TCP: UDP, but also the streams of MPTCP and SCTP.
_ONLY_TCP: _Check = (
    (_LOAD, 0, 0, _ARGUMENTS_AT),
    (_EQUAL, 11, 0, _NETLINK),
    (_EQUAL, 2, 0, _INET),
    (_EQUAL, 1, 0, _INET6),
    _refuse(errno.EACCES),
    (_LOAD, 0, 0, _ARGUMENTS_AT + 8),
    (_AND, 0, 0, 0xF),  # without the flags in the type
    (_EQUAL, 1, 0, _STREAM),
    _refuse(errno.EACCES),
    (_LOAD, 0, 0, _ARGUMENTS_AT + 16),
    (_EQUAL, 2, 0, 0),
    (_EQUAL, 1, 0, _TCP),
    _refuse(errno.EACCES),
)


def system_call_filter(
    *, among_others: bool, datagrams: bool = True, machine: str | None = None
) -> bytes | None:
    """Return a filter as an array of `struct sock_filter`; None for an unknown `machine`, as `uname -m` prints it.

    With `among_others` it protects other processes of the user. Without `datagrams` it leaves sockets of TCP and
    netlink, for Landlock, which could not restrict others.
    """
    found = _ARCHITECTURES.get(machine or platform.machine())
    if found is None:
        return None
    architecture, column = found
    rules = _EVERYWHERE | (_AMONG_OTHERS if among_others else {})
    if not datagrams:
        rules |= {"socket": _ONLY_TCP}
    program = chain(
        _prologue(architecture),
        *(_rule(_NUMBERS[name][column], check) for name, check in rules.items()),
        [(_RETURN, 0, 0, _ALLOW)],
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _prologue(architecture: int) -> Iterator[_Instruction]:
    # The same number is another call on other architectures and in the x32 interface, so those are refused.
    yield _LOAD, 0, 0, _ARCHITECTURE_AT
    yield _EQUAL, 1, 0, architecture
    yield _refuse(errno.ENOSYS)
    yield _LOAD, 0, 0, _NUMBER_AT
    yield _AT_LEAST, 0, 1, _X32
    yield _refuse(errno.ENOSYS)


def _rule(number: int, check: _Check) -> Iterator[_Instruction]:
    yield _EQUAL, 0, len(check) + 1, number
    yield from check
    yield _RETURN, 0, 0, _ALLOW
