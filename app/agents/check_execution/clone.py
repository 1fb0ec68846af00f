"""Sets up a clone in its own sandbox, and runs checks there beside the services of set-up."""

import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from app.agents.agent_folders import AgentFolders
from app.agents.check_execution.caches import Caches
from app.agents.check_execution.check_context import PATH, Preparation
from app.agents.check_execution.junit import ReportInvalid
from app.agents.check_execution.reports import Reports
from app.agents.check_execution.sandboxed_commands import (
    PROGRAM,
    CommandEnd,
    Commands,
    SandboxEnded,
    request_for,
    start_commands,
)
from app.agents.check_execution.supervisor import PROBE_SECONDS
from app.agents.errors import AgentOverLimit
from app.agents.masking import Masker
from app.agents.network.network_access import allowance_of, serve_proxy
from app.agents.network.proxy import Allowance, Egress
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.session.transcript import Emit
from app.agents.workspace.run_workspace import Workspace
from app.dialogue.agent_reports import progress_entry
from app.enums import CheckCause, ChecksNetwork, SandboxKind
from app.schemas.runs.verifications import SetupStepOut
from app.verdicts.definitions import Check, PlacedCheck, Step, command_of
from app.verdicts.judgement import TAIL_BYTES, Case, Execution

_ENVIRONMENT = {"PATH": PATH, "LANG": "C.UTF-8", "TZ": "UTC", "CI": "true"}
_ERRNO_CAUSES = {2: CheckCause.MISSING_TOOL, 13: CheckCause.MISSING_TOOL, 20: CheckCause.MISSING_TOOL}
LONGEST_NAME = 200
# Exit codes of a process that a signal ended: the process's own, and that of a shell which waited for it. The kernel
# sends SIGKILL when memory runs out.
_FILE_TOO_LARGE = frozenset({-signal.SIGXFSZ, 128 + signal.SIGXFSZ})
_KILLED = frozenset({-signal.SIGKILL, 128 + signal.SIGKILL})
# If a command fails while the disk has less free space, that may be why.
_LEAST_BYTES = 16 * 2**20


@dataclass(slots=True, kw_only=True)
class Clone:
    """The clone in a run's workspace, with its sandbox; `steps` are the set-up steps so far."""

    workspace: Workspace
    preparation: Preparation
    masker: Masker
    emit: Emit
    commands: Commands
    egress: Egress | None
    variables: Mapping[str, str]
    steps: list[SetupStepOut] = field(default_factory=list)
    services: list[Step] = field(default_factory=list)
    # Whether a limit or a full disk has left the clone half written, or a service is gone.
    is_lost: bool = False

    async def set_up(self, setup: Sequence[Step], commit: str, *, may_keep: bool) -> str:
        """Execute set-up steps, or take what they make from caches, until one fails; return why, else ""."""
        caches = Caches(self.preparation, self.workspace, setup, commit)
        for index, step in enumerate(setup):
            started = time.monotonic()
            command = self._name_of(step)
            await self.emit(progress_entry("setup", f"Set-up: {command}", index=index, status="started"))
            self._permit(allowance_of(self.preparation.setup_network))
            kept = await caches.find(step)
            is_cached = kept is not None and await caches.restore(kept, step)
            ended = CommandEnd(is_ready=True) if is_cached else await self._run(step, {})
            failure = why_failed(step, ended)
            if failure and (hosts := self._refused_hosts()):
                failure += f"; refused hosts: {', '.join(hosts)}"
            shown: SetupStepOut = {
                "index": index,
                "command": command,
                "status": "failed" if failure else "cached" if is_cached else "ok",
                "duration_ms": int((time.monotonic() - started) * 1000),
                "tail": self.masker.text(ended.output[-TAIL_BYTES:].decode(errors="replace")),
            }
            self.steps.append(shown)
            fault = f"{command}: {failure}" if failure else ""
            fields = {name: shown[name] for name in ("index", "status", "duration_ms")}
            await self.emit(progress_entry("setup", f"Set-up: {fault or command}", **fields))
            if fault:
                return fault
            self.services += [step] * step.background
            if may_keep and kept is not None and not is_cached:
                await caches.keep(kept, step)
        return ""

    async def execute(self, placed: PlacedCheck) -> Execution:
        """Execute a check once, with reports of this execution alone."""
        check, execution = placed.check, Execution(cause=CheckCause.REPORT_INVALID)
        if not check.reports:
            return await self._execute(placed)
        reports = Reports(self.workspace, self.preparation.sandbox, check.cwd, check.reports)
        try:
            await reports.delete()
            execution = await self._execute(placed)
            if not execution.has_ended:
                return execution
            cases = await reports.read()
        except ReportInvalid as error:
            return replace(execution, fault=self.masker.text(str(error)))
        if cases is not None:
            cases = {Case(*map(self.masker.text, case)): outcome for case, outcome in cases.items()}
        return replace(execution, cases=cases)

    async def _execute(self, placed: PlacedCheck) -> Execution:
        started, check = time.monotonic(), placed.check
        is_open = placed.network is ChecksNetwork.RUN
        self._permit(allowance_of(self.preparation.run_network) if is_open else None)
        ended = await self._run(check, {"TASKBEACON_CHECK": check.id})
        cause, fault = ended.cause, ""
        if ended.failed is not None:
            cause = _ERRNO_CAUSES.get(ended.failed, CheckCause.SPAWN_FAILED)
            # The error may also mean that the folder is missing.
            place = f" in {check.cwd}" if check.cwd else ""
            program = (check.run or ("bash",))[0][:LONGEST_NAME]
            fault = self.masker.text(f"{program} cannot be started{place}: {os.strerror(ended.failed)}")
        if ended.code in _KILLED:
            cause = CheckCause.OUT_OF_MEMORY
        is_full = shutil.disk_usage(self.workspace.folder).free < _LEAST_BYTES
        if ended.code in _FILE_TOO_LARGE or (ended.code and is_full):
            cause, self.is_lost = CheckCause.DISK_FULL, True
        hosts = self._refused_hosts()
        if cause is None and ended.code and (fault := await self._find_lost_service()):
            cause, self.is_lost = CheckCause.SETUP_FAILED, True
        return Execution(
            exit_code=None if cause else ended.code,
            cause=cause,
            fault=fault or None,
            blocked_hosts=hosts,
            duration_ms=int((time.monotonic() - started) * 1000),
            output=self.masker.text(ended.output.decode(errors="replace")).encode(),
        )

    def _name_of(self, step: Step) -> str:
        return self.masker.text(command_of(step))[:LONGEST_NAME]

    async def _find_lost_service(self) -> str:
        for step in self.services:
            # The same probe as during set-up.
            probe = replace(step, run=step.ready, background=False, timeout_seconds=PROBE_SECONDS)
            if step.ready and (await self._run(probe, {})).code != 0:
                return f"{self._name_of(step)}: it is not ready any more"
        return ""

    async def _run(self, command: Step | Check, variables: Mapping[str, str]) -> CommandEnd:
        inside = self.preparation.sandbox.inside(self.workspace.places)
        request = request_for(command, inside, {**self.variables, **variables})
        try:
            async with self.workspace.monitor.enforce(self.preparation.sandbox.policy):
                return await self.commands.execute(request)
        except AgentOverLimit as error:
            cause = error.cause
        except SandboxEnded:
            cause = CheckCause.OUT_OF_MEMORY
        self.is_lost = True
        return CommandEnd(cause=cause)

    def _refused_hosts(self) -> list[str]:
        refused = self.egress.refused_hosts if self.egress else ()
        return sorted({self.masker.text(place.rpartition(":")[0] or place) for place in refused})

    def _permit(self, allowance: Allowance | None) -> None:
        if self.egress is not None:
            self.egress.permit(allowance or Allowance())


@asynccontextmanager
async def open_clone(
    workspace: Workspace, preparation: Preparation, masker: Masker, emit: Emit
) -> AsyncIterator[Clone]:
    """Start a sandbox for the clone in a workspace; all its processes have ended after the block."""
    gateway, egress, policy = None, None, preparation.sandbox.policy
    # The kernel's limit of a process is higher than the monitor's of all, so that the monitor can name an excess.
    sandbox = replace(preparation.sandbox, policy=replace(policy, memory_bytes=8 * policy.memory_bytes))
    confinement = workspace.confinement(readable=(PROGRAM,))

    async def start(command: Sequence[str], *, descriptors: Sequence[int] = ()) -> ConfinedProcess:
        process = await sandbox.start(command, confinement, {}, gateway=gateway, descriptors=descriptors)
        return await workspace.monitor.add(process)

    async with AsyncExitStack() as opened:
        if sandbox.kind is SandboxKind.BUBBLEWRAP or preparation.setup_network.unenforced:
            # Tunnels to the operator's servers on the loopback cannot be added later. `_permit` restricts each check.
            widest = allowance_of(preparation.setup_network) or Allowance()
            egress, gateway = await opened.enter_async_context(
                serve_proxy(widest, sandbox.kind, workspace.folder, _ignore)
            )
        commands = await start_commands(start)
        opened.push_async_callback(commands.stop)
        own = environment_of(preparation, sandbox.inside(workspace.places))
        yield Clone(
            workspace=workspace,
            preparation=preparation,
            masker=masker,
            emit=emit,
            commands=commands,
            egress=egress,
            variables={**own, **(gateway.variables if gateway else {})},
        )


def environment_of(preparation: Preparation, inside: AgentFolders) -> dict[str, str]:
    """Return the environment variables of set-up and checks, in a sandbox with these places."""
    own = {"HOME": str(inside.home), "TMPDIR": str(inside.temporary), "USER": "agent"}
    return {**_ENVIRONMENT, **preparation.variables, **own}


def why_failed(step: Step, ended: CommandEnd) -> str:
    if ended.is_ready or (ended.code == 0 and not step.background):
        return ""
    if ended.cause is not None:
        return f"it was ended: {ended.cause.value.replace('_', ' ')}"
    if ended.failed is not None:
        return f"it cannot be started: {os.strerror(ended.failed)}"
    if ended.code is not None:
        return f"it ended with exit code {ended.code}"
    return f"it {'was not ready within' if step.background else 'took longer than'} {step.timeout_seconds} s"


async def _ignore(_message: str) -> None:
    # The results of a check name the hosts that the proxy refused.
    pass
