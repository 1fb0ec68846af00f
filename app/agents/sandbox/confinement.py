"""Runs a command in a sandbox: by bubblewrap, else by Landlock, else only with limits and a loud warning.

docs/guide/sandbox-levels.md says what each kind keeps from an agent. There is one launch path: no agent, repository or
project can influence the environment, folder or arguments of the program that confines (bubblewrap, launcher.py);
everything else goes through a descriptor to entry.py, inside. If the worker is killed, the kernel ends the agent too.
"""

import asyncio
import json
import marshal
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from app.agents.agent_folders import AgentFolders
from app.agents.sandbox.bubblewrap import PLACES, PROXY_SOCKET, bubblewrap_options
from app.agents.sandbox.confined_process import ConfinedProcess
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
from app.processes.spawning import LINE_LIMIT, spawn

_LAUNCHER = Path(__file__).with_name("launcher.py")
_ENTRY = Path(__file__).with_name("entry.py")
# Not the interpreter of a virtual environment, which would have to be visible too.
_PYTHON = os.path.realpath(sys.executable)
# The working folder of the program that confines: never a workspace, which an agent could prepare.
_NOWHERE = Path("/")
# Makes the kernel kill an agent, not the service, when memory runs out; set outside, because /proc is
# read-only inside.
_GO_FIRST = ("/bin/sh", "-c", '{ echo 1000 > /proc/self/oom_score_adj; } 2>/dev/null; exec "$@"', "sh")
# How often to build a bubblewrap sandbox again because a private file vanished meanwhile.
_BUILDS = 10
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_ALWAYS_PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM")
_KERNEL_FILES_TO_READ = (Path("/proc"), Path("/sys/devices/system/cpu"))
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")
_FILTER = system_call_filter(among_others=False)
HAS_FILTER = _FILTER is not None
# Versions of Landlock: it restricts ports since Linux 6.7, and signals and abstract sockets since 6.12.
ABI_WITH_PORTS, ABI_WITH_SCOPES = 4, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The standard streams of a command; `limit` is the most bytes in a line that can be read from the output."""

    stdin: int | IO[bytes] = asyncio.subprocess.DEVNULL
    stdout: int | IO[bytes] = asyncio.subprocess.PIPE
    stderr: int | IO[bytes] = asyncio.subprocess.PIPE
    limit: int = LINE_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A kind of sandbox that works on this machine, with the operator's policy. Starts the commands of all runs."""

    kind: SandboxKind  # never AUTO
    policy: SandboxPolicy = field(default_factory=SandboxPolicy)
    program: Path | None = None  # of bubblewrap
    # Private paths in /opt, listed once: /opt can be too large to list at each start.
    private: tuple[Path, ...] = ()
    landlock_abi: int = 0  # of the kernel; 0 for none
    etc: Path = Path("/etc")

    @property
    def has_fixed_paths(self) -> bool:
        """Whether all runs see their places at the same paths: those that programs write there hold in later runs."""
        return self.kind is SandboxKind.BUBBLEWRAP

    def inside(self, places: AgentFolders) -> AgentFolders:
        """Return where the processes of a run see its places."""
        return PLACES if self.has_fixed_paths else places

    async def start(
        self,
        command: Sequence[str],
        confinement: Confinement,
        environment: Mapping[str, str],
        *,
        network: AgentNetwork = AgentNetwork.NONE,
        gateway: Gateway | None = None,
        streams: Streams = Streams(),
        descriptors: Sequence[int] = (),
    ) -> ConfinedProcess:
        """Start a command, which may be untrusted like its environment, in a new sandbox, in the run's clone.

        `gateway` is the proxy at the levels between NONE and FULL, which gives it the network of the machine. The
        command inherits `descriptors`.
        """
        shown = replace(confinement, readable=(*confinement.readable, Path(sys.base_prefix), _ENTRY))
        instructions = marshal.dumps(self._instructions(command, confinement, environment, gateway))
        builds = 1 if self.program is None else _BUILDS
        while True:
            # Listed at each start, because files change: a renewed key is a new file.
            private = await self._find_private()
            confining = self._confine(shown, private, network=network is AgentNetwork.FULL, gateway=gateway)
            process = await self._spawn(confining, instructions, streams, descriptors)
            builds -= 1
            if builds == 0 or await process.has_entered():
                return process
            # bubblewrap cannot cover a private file that vanished since it was listed, such as /etc/passwd.lock.
            await process.stop()

    async def _spawn(
        self, confining: Sequence[str], instructions: bytes, streams: Streams, descriptors: Sequence[int]
    ) -> ConfinedProcess:
        with ExitStack() as shared, ExitStack() as kept:
            info, info_writer = _pipe(kept, shared)
            worker, worker_writer = _pipe(kept, shared)
            instructed = _share(shared, instructions)
            passed, options = [instructed, worker_writer, *descriptors], list[str]()
            if self.program is not None:
                passed.append(info_writer)
                options += ["--info-fd", str(info_writer)]
                if _FILTER is not None:
                    passed.append(_share(shared, _FILTER))
                    options += ["--seccomp", str(passed[-1])]
                options.append("--")
            entry = (_PYTHON, "-I", "-S", str(_ENTRY), str(instructed), str(worker_writer))
            process = await spawn(
                *_GO_FIRST,
                *confining,
                *options,
                *entry,
                stdin=streams.stdin,
                stdout=streams.stdout,
                stderr=streams.stderr,
                limit=streams.limit,
                cwd=_NOWHERE,
                start_new_session=True,
                pass_fds=passed,
            )
            kept.pop_all()
        return ConfinedProcess(process, info, worker, has_launcher=self.program is None)

    def _instructions(
        self,
        command: Sequence[str],
        confinement: Confinement,
        environment: Mapping[str, str],
        gateway: Gateway | None,
    ) -> dict[str, object]:
        seen = self.inside(confinement.places)
        own = {"HOME": str(seen.home), "TMPDIR": str(seen.temporary), "USER": "agent", "LOGNAME": "agent"}
        ports: dict[int, str | None] = {}
        if gateway is not None and gateway.socket is not None:
            ports = {gateway.port: None, **gateway.tunnels}
        return {
            "command": list(command),
            "directory": str(seen.work),
            "environment": {**own, **environment, **(gateway.variables if gateway else {})},
            "limits": self.policy.limits(has_own_users=self.program is not None),
            "ports": ports,
            "proxy_socket": PROXY_SOCKET,
        }

    async def _find_private(self) -> tuple[Path, ...]:
        if self.kind is SandboxKind.NONE:
            return ()
        return (*self.private, *await asyncio.to_thread(private_parts, self.etc))

    def _confine(
        self, confinement: Confinement, private: Sequence[Path], *, network: bool, gateway: Gateway | None
    ) -> list[str]:
        # `_spawn` adds the descriptors for bubblewrap, and the `--`.
        if self.program is not None:
            # With the machine's network, the names of its abstract sockets would be reachable.
            shares_names = network and self.landlock_abi >= ABI_WITH_SCOPES
            scope = [_PYTHON, "-I", "-S", str(_LAUNCHER), "scope"] if shares_names else []
            options = bubblewrap_options(confinement, network=network, gateway=gateway, private=private)
            return [*scope, str(self.program), *options]
        if self.kind is SandboxKind.LANDLOCK:
            rules = self._landlock_rules(confinement, private, network=network, gateway=gateway)
            return [sys.executable, "-I", str(_LAUNCHER), json.dumps(rules)]
        # The launcher starts four times as fast without site-packages.
        return [_PYTHON, "-I", "-S", str(_LAUNCHER), "null"]

    def _landlock_rules(
        self, confinement: Confinement, private: Sequence[Path], *, network: bool, gateway: Gateway | None
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


def _pipe(kept: ExitStack, shared: ExitStack) -> tuple[int, int]:
    reader, writer = os.pipe()
    kept.callback(os.close, reader)
    shared.callback(os.close, writer)
    return reader, writer


def _share(shared: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("instructions")
    shared.callback(os.close, descriptor)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def confined_environment(source: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the worker that every program in a sandbox may see."""
    chosen = {name: source[name] for name in _ALWAYS_PASSED if name in source}
    return {"PATH": _DEFAULT_PATH, "LANG": "C.UTF-8", **chosen}
