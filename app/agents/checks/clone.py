"""A clone that is set up in a sandbox of its own, in which commands run beside its services."""

import os
import shlex
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from app.agents.checks.caches import Caches
from app.agents.checks.commands import (
    PROGRAM,
    CommandEnd,
    Commands,
    SandboxEnded,
    open_commands,
    start_service,
    words_of,
)
from app.agents.checks.context import Performed, PerformedStep, Preparation
from app.agents.checks.junit import ReportInvalid
from app.agents.checks.reports import REPORT_READER, REPORT_STREAMS, delete_reports, read_reports
from app.agents.errors import AgentOverLimit
from app.agents.masking import Masker
from app.agents.network.network import allowance_of, serve_proxy
from app.agents.network.proxy import Allowance, Egress
from app.agents.places import Places
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.session.transcript import Emit, notification_entry
from app.agents.workspace.workspace import Workspace
from app.enums import CheckCause, ChecksNetwork, SandboxKind, StepStatus
from app.processes.own_program import OWN_PROGRAM
from app.verification.definitions import Step
from app.verification.judgement import Case, Execution

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "CI": "true"}
_TAIL_BYTES = 4096
_ERRNO_CAUSES = {2: CheckCause.MISSING_TOOL, 13: CheckCause.MISSING_TOOL, 20: CheckCause.MISSING_TOOL}
_LONGEST_NAME = 200
# Of a process, and as a shell reports it.
_FILE_TOO_LARGE = frozenset({-signal.SIGXFSZ, 128 + signal.SIGXFSZ})


class SetupFailed(Exception):
    """A set-up step failed, so that nothing can be said about the clone."""


class _Lost(Exception):
    """The sandbox has ended, for this cause."""

    def __init__(self, cause: CheckCause) -> None:
        super().__init__(cause)
        self.cause = cause


class Clone:
    """The clone in a run's workspace, with its sandbox; `steps` are the set-up steps so far."""

    def __init__(
        self,
        workspace: Workspace,
        preparation: Preparation,
        setup: Sequence[Step],
        masker: Masker,
        emit: Emit,
    ) -> None:
        self.steps: list[PerformedStep] = []
        self._workspace = workspace
        self._preparation = preparation
        self._setup = setup
        self._masker = masker
        self._emit = emit
        self._inside = preparation.sandbox.inside(workspace.places)
        self._commands: Commands | None = None
        self._egress: Egress | None = None
        self._is_lost = False
        self._proxy: Mapping[str, str] = {}
        self._allowance = Allowance()
        self._opened = AsyncExitStack()

    async def set_up(self, caches: Caches | None) -> None:
        """Execute the set-up steps, or take what they make from the caches. Raises SetupFailed."""
        self._permit(allowance_of(self._preparation.setup_network))
        for index, step in enumerate(self._setup):
            started = time.monotonic()
            await self._say(index, step, "started")
            cached = caches is not None and await caches.restore(step)
            output, failure = (b"", "") if cached else await self._perform(step)
            status = StepStatus.FAILED if failure else StepStatus.CACHED if cached else StepStatus.OK
            duration_ms = int((time.monotonic() - started) * 1000)
            tail = self._masker.text(output[-_TAIL_BYTES:].decode(errors="replace"))
            self.steps.append(
                PerformedStep(
                    index=index,
                    command=self._masker.text(shown_command(step.run, step.shell))[:_LONGEST_NAME],
                    status=status,
                    duration_ms=duration_ms,
                    tail=tail,
                )
            )
            await self._say(index, step, status, failure, duration_ms)
            if failure:
                raise SetupFailed(failure)
            if caches is not None and not cached:
                await caches.keep(step)

    async def execute(
        self,
        run: Sequence[str] | None,
        shell: str | None,
        cwd: str,
        *,
        seconds: float,
        variables: Mapping[str, str],
        network: ChecksNetwork,
    ) -> Performed:
        """Execute a command of a check once; reports are read by the caller."""
        started = time.monotonic()
        allowance = allowance_of(self._preparation.run_network) if network is ChecksNetwork.RUN else None
        self._permit(allowance)
        ended, cause = await self._run(words_of(run, shell), cwd, variables, seconds)
        if cause is None and ended.failed is not None:
            cause = _ERRNO_CAUSES.get(ended.failed, CheckCause.SPAWN_FAILED)
        if cause is None and ended.code in _FILE_TOO_LARGE:
            cause = CheckCause.DISK_FULL
        refused = self._egress.refused_hosts if self._egress else ()
        hosts = sorted({place.rpartition(":")[0] or place for place in refused})
        return Performed(
            execution=Execution(exit_code=None if cause else ended.code, cause=cause, blocked_hosts=hosts),
            duration_ms=int((time.monotonic() - started) * 1000),
            output=self._masker.text(ended.output.decode(errors="replace")).encode(),
        )

    async def execute_plainly(self, command: Sequence[str], *, seconds: float) -> bytes:
        """Execute a command of ours in the clone; return its output, whether it succeeded or not."""
        ended, _ = await self._run(command, "", {}, seconds)
        return ended.output

    async def clear_reports(self, cwd: str, globs: Sequence[str]) -> None:
        """Delete the files that match these globs, from a folder of the clone."""
        await delete_reports(await self._start_reader("--delete"), self._folder(cwd), globs)

    async def add_reports(self, performed: Performed, cwd: str, globs: Sequence[str]) -> Performed:
        """Add the cases in the reports that match these globs to what an execution has shown."""
        execution = performed.execution
        try:
            cases = await read_reports(await self._start_reader(), self._folder(cwd), globs)
        except ReportInvalid as error:
            fault = self._masker.text(str(error))
            return replace(performed, execution=replace(execution, report_fault=fault))
        if cases is not None:
            cases = {Case(*map(self._masker.text, case)): outcome for case, outcome in cases.items()}
        return replace(performed, execution=replace(execution, cases=cases))

    async def _start_reader(self, *arguments: str) -> ConfinedProcess:
        process = await self._preparation.sandbox.start(
            (*REPORT_READER, *arguments),
            self._workspace.confinement(readable=OWN_PROGRAM),
            {"PATH": _ENVIRONMENT["PATH"]},
            streams=REPORT_STREAMS,
        )
        return await self._workspace.monitor.add(process)

    async def _perform(self, step: Step) -> tuple[bytes, str]:
        """Return the output of a step, and why it failed; "" if it did not."""
        if step.background:
            return await self._start_service(step)
        ended, cause = await self._run(words_of(step.run, step.shell), step.cwd, {}, step.timeout_seconds)
        if cause is not None:
            return ended.output, f"it was ended: {cause.value.replace('_', ' ')}"
        if ended.failed is not None:
            return ended.output, f"it cannot be started: {os.strerror(ended.failed)}"
        if ended.code is None:
            return ended.output, f"it took longer than {step.timeout_seconds} s"
        return ended.output, f"exit code {ended.code}" if ended.code else ""

    async def _start_service(self, step: Step) -> tuple[bytes, str]:
        try:
            async with self._within_limits() as commands:
                return await self._serve(commands, step)
        except _Lost:
            return b"", "its sandbox was ended"

    async def _serve(self, commands: Commands, step: Step) -> tuple[bytes, str]:
        return await start_service(commands, step, self._folder(step.cwd), self._environment({}))

    async def _run(
        self, words: Sequence[str], cwd: str, variables: Mapping[str, str], seconds: float
    ) -> tuple[CommandEnd, CheckCause | None]:
        """Run a command; return how it ended, or the cause for which its sandbox ended."""
        try:
            async with self._within_limits() as commands:
                environment = self._environment(variables)
                return await commands.run(words, self._folder(cwd), environment, seconds=seconds), None
        except _Lost as lost:
            return CommandEnd(), lost.cause

    @asynccontextmanager
    async def _within_limits(self) -> AsyncIterator[Commands]:
        """Yield the commands of the sandbox, within the limits of a run. Raises _Lost, after which it is a new one."""
        try:
            async with self._workspace.monitor.enforce(self._preparation.sandbox.policy):
                yield await self._open()
        except (AgentOverLimit, SandboxEnded) as error:
            await self.close()
            self._is_lost = True
            cause = error.cause if isinstance(error, AgentOverLimit) else CheckCause.OUT_OF_MEMORY
            raise _Lost(cause) from error

    async def _open(self) -> Commands:
        if self._commands is not None:
            return self._commands
        preparation, workspace = self._preparation, self._workspace
        gateway, policy = None, preparation.sandbox.policy
        # A process gets more than the limit of all, so that the monitor sees the excess and can name it.
        sandbox = replace(preparation.sandbox, policy=replace(policy, memory_bytes=8 * policy.memory_bytes))
        if sandbox.kind is SandboxKind.BUBBLEWRAP or preparation.setup_network.unenforced:
            # With ways to the operator's servers on loopback, which are made once; what is permitted changes.
            widest = allowance_of(preparation.setup_network) or Allowance()
            self._egress, gateway = await self._opened.enter_async_context(
                serve_proxy(widest, sandbox.kind, workspace.folder, _ignore)
            )
        self._permit(self._allowance)
        self._proxy = gateway.variables if gateway else {}
        confinement = workspace.confinement(readable=(PROGRAM,))

        async def start(command: Sequence[str], *, descriptors: Sequence[int] = ()) -> ConfinedProcess:
            process = await sandbox.start(command, confinement, {}, gateway=gateway, descriptors=descriptors)
            return await workspace.monitor.add(process)

        self._commands = await self._opened.enter_async_context(open_commands(start))
        if self._is_lost:
            self._is_lost = False
            # Each of them was ready in this clone before.
            for step in self._setup[: len(self.steps)]:
                if step.background:
                    await self._serve(self._commands, step)
        return self._commands

    async def close(self) -> None:
        """End the sandbox, with its services. Can be called again."""
        self._commands = self._egress = None
        await self._opened.aclose()

    def _permit(self, allowance: Allowance | None) -> None:
        self._allowance = allowance or Allowance()
        if self._egress is not None:
            self._egress.permit(self._allowance)

    def _folder(self, cwd: str) -> str:
        return str(self._inside.work / cwd)

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {**environment_of(self._preparation, self._inside), **self._proxy, **variables}

    async def _say(
        self, index: int, step: Step, status: str, failure: str = "", duration_ms: int | None = None
    ) -> None:
        command = self._masker.text(shown_command(step.run, step.shell))[:_LONGEST_NAME]
        message = f"Set-up: {command}" + (f": {failure}" if failure else "")
        said = {"step": "setup", "message": message, "index": index, "status": status}
        if duration_ms is not None:
            said["duration_ms"] = duration_ms
        await self._emit(notification_entry("_taskbeacon/progress", said))


def environment_of(preparation: Preparation, inside: Places) -> dict[str, str]:
    """Return the environment variables of set-up and checks, in a sandbox with these places."""
    own = {"HOME": str(inside.home), "TMPDIR": str(inside.temporary), "USER": "agent"}
    return {**_ENVIRONMENT, **preparation.variables, **own}


def shown_command(run: Sequence[str] | None, shell: str | None) -> str:
    """Return a command as people read it."""
    return shlex.join(run) if run is not None else shell or ""


async def _ignore(_message: str) -> None:
    """Report nothing: refused hosts are named with the check that asked for them."""
