"""The sandbox without bubblewrap: confines a command, watches over it, and ends the processes that it leaves.

A separate script, so that no code of ours runs between fork and exec in a process that has threads. Arguments: the
rules of Landlock as JSON (`null`: none; `scope`: only keep abstract sockets away), then the command.

From Linux 6.12 on a domain of Landlock keeps the signals of its members inside, so one `kill(-1)` ends all that the
command has started, and nothing else. On older kernels processes that fork in a chain can keep ahead of it.
"""

import ctypes
import json
import os
import signal
import sys
import time
from types import FrameType
from typing import Any, NoReturn  # Any: JSON, and types of landlockpy, which is imported only when needed

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_INSTRUCTION_BYTES = 8
_CAPABILITIES = 64
_CANNOT_RUN = 126
_NOT_FOUND = 127
_SIGNALLED = 128
_KILL_PAUSE_SECONDS = 0.01
# The numbers of these system calls are the same on all architectures.
_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_CREATE_RULESET_VERSION = 1
_SCOPE_NAMES, _SCOPE_SIGNAL = 1, 2
_VERSION_WITH_SCOPES = 6


def _prctl(option: int, argument: int) -> bool:
    zero = ctypes.c_ulong(0)
    return bool(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(argument), zero, zero, zero) == 0)


def _give_up_privileges() -> None:
    # An empty bounding set means that not even root gets a capability back at exec.
    for capability in range(_CAPABILITIES):
        if not _prctl(_PR_CAPBSET_DROP, capability):
            break
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _enter_scope(scope: int) -> bool:
    # A domain of Landlock that restricts no files and no network.
    call = ctypes.CDLL(None).syscall
    call.restype = ctypes.c_long
    version = ctypes.c_ulong(_CREATE_RULESET_VERSION)
    if call(_CREATE_RULESET, None, ctypes.c_ulong(0), version) < _VERSION_WITH_SCOPES:
        return False
    handled = (ctypes.c_uint64 * 3)(0, 0, scope)  # files, network, scopes
    size, none = ctypes.c_ulong(ctypes.sizeof(handled)), ctypes.c_ulong(0)
    ruleset = call(_CREATE_RULESET, ctypes.byref(handled), size, none)
    if ruleset < 0:
        return False
    entered = bool(call(_RESTRICT_SELF, ctypes.c_long(ruleset), none) == 0)
    os.close(ruleset)
    return entered


def _keep_signals_inside() -> bool:
    if _enter_scope(_SCOPE_SIGNAL):
        try:
            os.kill(os.getppid(), 0)
        except OSError as error:
            return isinstance(error, PermissionError)
    return False


def _enter_landlock(rules: dict[str, Any]) -> None:
    from landlockpy import AccessFS, AccessNet, Ruleset, Scope  # noqa: PLC0415 - only where it is the means

    look = AccessFS.EXECUTE | AccessFS.READ_FILE | AccessFS.READ_DIR
    change = AccessFS(sum(AccessFS)) & ~(AccessFS.MAKE_CHAR | AccessFS.MAKE_BLOCK | AccessFS.RESOLVE_UNIX)
    scoped = Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL
    network = AccessNet.NONE if rules["network"] else None  # None: refuse all that the kernel can
    with Ruleset(handled_net=network, scoped=scoped) as ruleset:
        for paths, access in ((rules["read"], look), (rules["write"], change)):
            for path in paths:
                _allow(ruleset, path, access, AccessFS)
        for port in rules["ports"]:
            ruleset.allow_port(port, AccessNet.CONNECT_TCP)
        ruleset.restrict()


def _allow(ruleset: Any, path: str, access: Any, flags: Any) -> None:
    if not os.path.exists(path):
        return
    if not os.path.isdir(path):
        # The kernel refuses a rule that gives a file rights which only folders have.
        access &= flags.EXECUTE | flags.READ_FILE | flags.WRITE_FILE | flags.TRUNCATE | flags.IOCTL_DEV
    ruleset.allow_path(path, access)


def _filter_calls(program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    rules = Program(len(program) // _INSTRUCTION_BYTES, program)
    if ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(rules), 0, 0) != 0:
        raise OSError("the kernel does not take the filter of system calls")


def _descendants() -> set[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:
                parent = int(stat.read().rpartition(b")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.add(child)
            waiting.append(child)
    return found


def _kill_descendants(*, kept_inside: bool) -> None:
    # Descendants in other groups or sessions are killed too.
    while True:
        while True:
            try:
                pid, _status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
        for pid in (-1,) if kept_inside else _descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(_KILL_PAUSE_SECONDS)


def _watch_over(agent: int, *, kept_inside: bool) -> NoReturn:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)  # else the agent's pipes would stay open after the agent closes them
    while True:
        pid, status = os.wait()
        if pid == agent:
            break
    _kill_descendants(kept_inside=kept_inside)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else _SIGNALLED - code)


def _become(command: list[str]) -> NoReturn:
    try:
        os.execvp(command[0], command)  # noqa: S606 - the catalog's command, without a shell
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN)


def main() -> NoReturn:
    """Start the command confined, wait for its end, kill its remaining descendants, and exit with its status."""
    command = sys.argv[2:]
    if sys.argv[1] == "scope":
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)  # without it only root may enter a domain
        if not _enter_scope(_SCOPE_NAMES):
            raise OSError("the kernel does not keep abstract sockets from the agent")
        _become(command)
    rules = json.loads(sys.argv[1])
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)  # without it only root may enter a domain
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    kept_inside = _keep_signals_inside()

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        _kill_descendants(kept_inside=kept_inside)
        os._exit(_SIGNALLED + number)

    agent = os.fork()
    if agent == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        _give_up_privileges()
        if rules is None:
            _keep_signals_inside()  # in a domain below the launcher's, so that the agent cannot signal the launcher
        else:
            _enter_landlock(rules)
            if rules["filter"]:
                _filter_calls(bytes.fromhex(rules["filter"]))
        _become(command)
    signal.signal(signal.SIGTERM, stop)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    _watch_over(agent, kept_inside=kept_inside)


if __name__ == "__main__":
    main()
