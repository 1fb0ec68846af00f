"""Performs one run, from an empty folder to a pushed branch.

    clone    the base of the work, into a workspace of its own
    agent    a conversation with one agent process in the sandbox
    collect  commits, files changed and the patch, also of a run that failed
    push     the new branch; only of a run that succeeded

Knows no database, no queue and no settings: everything comes in with the spec, and goes out through `emit`
(entries of the run's log), the result, or an error that a human can act on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any  # JSON
from uuid import UUID

import structlog
from acp.helpers import ContentBlock, text_block

from app.agents.adapters.adapter import Adapter, ModeRule, Wishes, WorkspaceAccess
from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.agents.adapters.installation import Installed, find_installed
from app.agents.base.attachments import OWN_FOLDER, Attachment, place_attachments, take_artifacts
from app.agents.base.safe_paths import write_file
from app.agents.errors import (
    AgentCancelled,
    AgentError,
    AgentFailed,
    AgentOverLimit,
    AgentStopped,
    AgentTimedOut,
    OutputInvalid,
    SandboxUnavailable,
    SessionLost,
)
from app.agents.execution.stopping import hurried
from app.agents.git.askpass import Credential
from app.agents.git.command import Remote
from app.agents.git.fetch import Source
from app.agents.git.large_files import LargeFileLimits, find_git_lfs, uses_lfs
from app.agents.git.mirrors import Mirrors
from app.agents.git.repository import Author, Changes
from app.agents.network.network import Network, NetworkRules, open_network
from app.agents.result import RunResult
from app.agents.sandbox.sandbox import ConfinedProcess, Sandbox, confined_environment
from app.agents.session.budget import Budget, Spender
from app.agents.session.commands import Mailbox, Nobody
from app.agents.session.conversation import Conversation, Manners, links_to
from app.agents.session.observer import Observer
from app.agents.session.run_clock import WorkingTime
from app.agents.session.session import AgentSession
from app.agents.session.transcript import notification
from app.agents.session.transport import LINE_LIMIT
from app.agents.session.usage import UsageMeter
from app.agents.workspace.kept_session import KeptSession, SessionKeeper
from app.agents.workspace.output import MISSING, output_correction, output_instructions, read_output
from app.agents.workspace.output_check import CHECK_SECONDS, check_apart
from app.agents.workspace.workspace import Collected, Workspace, open_workspace
from app.enums import SandboxKind
from app.masking import FolderHider, Masker
from app.processes.own_program import OWN_PROGRAM
from app.shielded import shielded

__all__ = ["BeforeAgent", "CredentialSource", "Emit", "RunResult", "RunSpec", "perform"]

CredentialSource = Callable[[], Awaitable[Credential | None]]  # raises a RepositoryError
Emit = Callable[[dict[str, Any]], Awaitable[None]]  # takes one log entry
BeforeAgent = Callable[
    [], Awaitable[None]
]  # again before another process, if the first one has lost its conversation

_LOGGER = structlog.get_logger(__name__)
_SUMMARY_CHARACTERS = 10_000
_COLLECT_TIME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything that decides how a run goes."""

    run_id: UUID
    adapter: Adapter
    agents: Path | None = None  # the folder of `make agents`
    prompt: str
    memory: str | None = None  # what an agent that goes on from earlier runs is told first
    session: KeptSession | None = None  # or the conversation that it takes up, if it can
    follow_up: str | None = None  # what is said to it then, if that is less than `prompt`
    session_file: Path | None = None  # takes the conversation, packed, also of a run that failed
    root: Path  # the folder that holds all workspaces
    push_branch: str
    resumes: bool = False  # goes on with the push branch, where the origin has it
    clone_url: str | None = None  # None: an empty repository
    credential: CredentialSource | None = None  # asked when git is about to need it
    base_branch: str | None = None  # None: the default branch
    clone_depth: int = 50  # commits of history; 0 = all
    clone_filter: str = ""  # of a partial clone
    mirrors: Mirrors | None = None  # None: every run clones anew
    submodules_below: str | None = None  # the URL below which submodules are fetched; None: they are not
    git_lfs: bool = False  # fetch and store files of Git LFS; else they stay pointers
    model: str | None = None
    reasoning_effort: str | None = None
    permission_mode: str | None = None
    json_schema: Any = None  # when set, the output must be there and valid against it
    check_seconds: float = CHECK_SECONDS  # how long it may take to find that out
    budget: Budget = field(default_factory=Budget)
    timeout: timedelta  # of the work; waiting for people does not count
    manners: Manners = field(default_factory=Manners)
    sandbox: Sandbox
    environment: Mapping[str, str]  # the worker's; the adapter's allow-list picks from it
    commit_subject: str  # of the commit made for uncommitted work
    author: Author = field(default_factory=Author)
    network: NetworkRules = field(default_factory=NetworkRules)
    variables: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # of the run's own, for the agent only
    hidden: Sequence[Path] = ()  # what agents must not see, wherever it lies
    attachments: Sequence[Attachment] = ()  # files for the agent
    outbox: Path | None = None  # takes what the agent hands over, also of a run that failed


async def perform(
    spec: RunSpec,
    emit: Emit,
    *,
    stop: asyncio.Event | None = None,
    mailbox: Mailbox | None = None,
    meter: UsageMeter | None = None,
    before_agent: BeforeAgent | None = None,
) -> RunResult:
    """Perform a run; when it returns or raises, its processes and its folder are gone.

    Once `stop` is set the agent is ended at once, and what it did so far is collected. What people tell the agent
    comes in through `mailbox`; what the agent uses is added up in `meter`. `before_agent` is awaited when all that
    comes before the agent is done: until then nothing has happened that could not happen again.

    Raises an AgentError, with what there was in `partial`; CancelledError and what `emit` and `before_agent` raise
    pass through.
    Repeatable: the push branch of an earlier attempt at the same run is replaced.
    """
    installed = find_installed(spec.adapter, spec.environment, spec.agents)
    masker = Masker([*spec.variables.values(), *spec.adapter.secrets(spec.environment)])
    async with open_workspace(spec.root, spec.run_id, spec.environment, spec.hidden) as workspace:
        hider = FolderHider(work=workspace.work, home=workspace.home, folder=workspace.folder)
        run = _Run(
            spec,
            hider.emitting(emit),
            masker,
            installed,
            workspace,
            stop=stop or asyncio.Event(),
            mailbox=mailbox or Nobody(),
            meter=meter or UsageMeter(),
            before_agent=before_agent,
        )
        try:
            result = await run.perform()
        except AgentError as error:
            error.message = hider.text(masker.text(error.message))
            if error.partial is not None:
                error.partial = error.partial.masked(masker)
            raise
    return result.masked(masker)


class _Run:
    """One run under way."""

    def __init__(
        self,
        spec: RunSpec,
        emit: Emit,
        masker: Masker,
        installed: Installed,
        workspace: Workspace,
        *,
        stop: asyncio.Event,
        mailbox: Mailbox,
        meter: UsageMeter,
        before_agent: BeforeAgent | None,
    ) -> None:
        self._spec = spec
        self._before_agent = before_agent
        self._emit = masker.emitting(emit)
        self._masker = masker
        self._adapter = spec.adapter
        self._installed = installed
        self._wishes = Wishes(model=spec.model, effort=spec.reasoning_effort, mode=spec.permission_mode)
        self._workspace = workspace
        self._stop = stop
        self._observer = Observer(spec.adapter, meter)
        self._shown = Remote.parse(spec.clone_url).url if spec.clone_url else None
        self._time = WorkingTime(spec.timeout)
        self._conversation = Conversation(
            mailbox,
            self._emit,
            self._time,
            self._observer,
            Spender(spec.budget, meter, self._tell),
            spec.manners,
            masker,
            mode=spec.permission_mode,
            review=self._find_fault,
        )
        self._prepared = False
        self._summary = ""
        self._keeper = SessionKeeper(
            spec.session, spec.adapter, home=workspace.home, folder=workspace.folder, masker=masker
        )

    async def perform(self) -> RunResult:
        failure = await self._work()
        try:
            await self._take_artifacts()
            if file := self._spec.session_file:
                await asyncio.to_thread(self._keeper.keep, file)
        except OSError:
            if failure is None:
                raise
            _LOGGER.exception("run.nothing_taken")
        if failure is not None:
            failure.partial = await self._salvage()
            raise failure
        collected = await self._collect()
        partial = self._result(collected)
        try:
            async with self._within_limits():
                result = replace(partial, structured=await self._structured())
            return await self._push(result, collected.head)
        except AgentError as error:
            error.partial = partial
            raise

    async def _work(self) -> AgentError | None:
        """Clone and let the agent work, within the wall-clock limit; return why that went wrong."""
        watching: list[asyncio.Task[None]] = []
        try:
            async with self._time:
                watching += [
                    asyncio.create_task(self._end_when_stopped()),
                    asyncio.create_task(self._conversation.listen()),
                ]
                async with self._workspace.watch.limiting(self._spec.sandbox.policy):
                    await self._prepare()
                    await self._converse()
        except AgentOverLimit as error:
            # A bomb is told where what led to it is told.
            await self._tell(error.message)
            return error
        except AgentError as error:
            return error
        except TimeoutError:
            if not self._time.is_over:
                raise
            return self._reason_of_end()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        return None

    async def _end_when_stopped(self) -> None:
        await self._stop.wait()
        self._time.end()

    def _reason_of_end(self) -> AgentError:
        """Return why the time was up."""
        if self._stop.is_set():
            return AgentStopped("The run was stopped.")
        if self._conversation.is_cancelled:
            return AgentCancelled()
        if self._conversation.fault is not None:
            raise self._conversation.fault
        return AgentTimedOut(f"The run took longer than its limit of {_spoken(self._spec.timeout)}.")

    async def _prepare(self) -> None:
        what = f"Cloning {self._shown}" if self._shown else "Making an empty repository"
        await self._progress("clone", what)
        spec = self._spec
        await self._workspace.prepare(
            await self._source(),
            spec.push_branch,
            author=spec.author,
            mirrors=spec.mirrors,
            submodules_below=spec.submodules_below,
            large_files=LargeFileLimits.of(spec.sandbox.policy) if spec.git_lfs else None,
        )
        for reason in self._workspace.submodules.left_out:
            await self._progress("clone", f"Without the submodule {reason}")
        await self._tell_of_large_files()
        if spec.attachments:
            await asyncio.to_thread(place_attachments, self._workspace.work, spec.attachments)
        self._prepared = True
        base = self._workspace.base
        await self._progress(
            "clone", f"Working from {base.start} at {base.sha[:12]}" if base.sha else "Working from nothing"
        )

    async def _tell_of_large_files(self) -> None:
        """Say what an agent sees of the files of Git LFS, where that is not all there is."""
        found = self._workspace.large_files
        if found is None:
            if await asyncio.to_thread(uses_lfs, self._workspace.work):
                reason = "this worker does not fetch them"
                if self._spec.git_lfs and find_git_lfs(self._spec.environment) is None:
                    reason = "git-lfs is not installed on this worker"
                await self._progress("clone", f"Files of Git LFS are left as pointers: {reason}")
            return
        if found.requested:
            await self._progress("clone", f"Fetched {found.requested} objects of Git LFS")
        for reason in found.left_out:
            await self._progress("clone", f"Without the content of {reason}")

    async def _source(self) -> Source | None:
        spec, remote = self._spec, await self._remote()
        if remote is None:
            return None
        return Source(
            remote=remote,
            branch=spec.base_branch,
            resumes=spec.resumes,
            depth=spec.clone_depth,
            filter=spec.clone_filter,
        )

    async def _remote(self) -> Remote | None:
        """Return the origin with the credential that holds now: the one that cloned may have expired by the push."""
        if self._spec.clone_url is None:
            return None
        remote = Remote.parse(self._spec.clone_url)
        if self._spec.credential is None or not remote.is_http:
            return remote
        return replace(remote, credential=await self._spec.credential() or remote.credential)

    async def _converse(self) -> None:
        """Let the agent work, with as much of the network as the run has."""
        service = self._adapter.model_service
        async with open_network(
            self._spec.network,
            model_url=service.url(self._spec.environment) if service else None,
            kind=self._spec.sandbox.kind,
            folder=self._workspace.folder,
            report=partial(self._progress, "network"),
        ) as network:
            try:
                await self._talk(network)
            except SessionLost as error:
                _LOGGER.warning("run.session_lost", reason=error.message)
                self._keeper.forget_earlier()
                await self._talk(network)
            except AgentFailed as error:
                if self._adapter.lacks_key(self._variables):
                    error.message += f"\nThe worker gives it none of {', '.join(self._adapter.keys)}."
                raise

    async def _talk(self, network: Network) -> None:
        spec = self._spec
        mode = self._adapter.mode_rule(self._wishes)
        confinement = self._workspace.confinement(
            readable=(*self._adapter.readable, *self._installed.folders), read_only=self._is_read_only(mode)
        )
        await asyncio.to_thread(self._furnish_home)
        environment = {
            **confined_environment(spec.environment, confinement),
            **self._adapter.variables(self._wishes, self._variables),
            **spec.variables,
        }
        if self._before_agent is not None:
            await self._before_agent()
        await self._progress(
            "agent", f"Starting the agent '{self._adapter.name}' (sandbox: {spec.sandbox.kind})"
        )
        watch = self._workspace.watch
        process = await watch.follow(
            await spec.sandbox.start(
                self._installed.command,
                confinement,
                environment,
                network=network.level,
                gateway=network.gateway,
                stdin=asyncio.subprocess.PIPE,
                limit=LINE_LIMIT,
            )
        )
        _LOGGER.info("run.agent_spawned", pid=process.pid)

        async def start_command(command: Sequence[str], variables: Mapping[str, str]) -> ConfinedProcess:
            return await watch.follow(
                await spec.sandbox.start(
                    command,
                    confinement,
                    {**environment, **variables},
                    network=network.level,
                    gateway=network.gateway,
                    stderr=asyncio.subprocess.STDOUT,
                )
            )

        session = AgentSession(
            process,
            self._workspace.work,
            name=self._adapter.name,
            emit=self._observe,
            decide=self._conversation.decide,
            start_command=start_command,
            writable=None if confinement.directory_writable else self._workspace.work / OWN_FOLDER,
            file_requests=self._adapter.file_requests,
            usage_meta=self._adapter.usage_meta,
        )
        try:
            is_taken_up = await self._start(session)
            await self._choose(session, mode)
            links = links_to(self._workspace.work, spec.attachments)
            texts = self._prompt(is_taken_up=is_taken_up)
            opening: list[ContentBlock] = [*(text_block(text) for text in texts), *links]
            await self._conversation.hold(session, self._workspace.work, opening)
        finally:
            self._summary = session.last_message[:_SUMMARY_CHARACTERS]
            self._keeper.session_id = session.session_id if session.can_be_taken_up else ""
            at_once = self._stop.is_set() or self._conversation.is_cancelled or self._time.is_over
            await shielded(session.close(at_once=at_once))

    async def _observe(self, entry: dict[str, Any]) -> None:
        self._observer.see(entry)
        await self._emit(entry)

    def _is_read_only(self, mode: ModeRule | None) -> bool:
        read_only = mode is not None and mode.workspace is WorkspaceAccess.READ_ONLY
        if read_only and self._spec.sandbox.kind is SandboxKind.NONE:
            raise SandboxUnavailable(
                f"The permission mode '{self._spec.permission_mode}' of the agent '{self._adapter.name}' needs a "
                "sandbox that keeps the workspace read-only, and this worker has none."
            )
        return read_only

    @property
    def _variables(self) -> dict[str, str]:
        """What the adapter may pick from; the run's own variables are for its agent anyway."""
        return {**self._spec.environment, **self._spec.variables}

    async def _start(self, session: AgentSession) -> bool:
        """Open the conversation; return whether it is the earlier one."""
        is_taken_up = await session.start(
            authenticate=self._authentication(), take_up=self._keeper.earlier_id
        )
        if is_taken_up:
            await self._tell("The agent goes on with its conversation of the earlier run.")
        elif self._spec.session is not None:
            await self._tell("The agent could not take up its earlier conversation; it is told of it.")
        return is_taken_up

    def _furnish_home(self) -> None:
        self._keeper.lay()
        files = self._adapter.home_files(self._wishes, self._variables)
        for path, content in files.items():
            write_file(self._workspace.home, path, content.encode())

    def _authentication(self) -> str | None:
        rule = self._adapter.authenticate
        return rule.method if rule and self._variables.get(rule.needs) else None

    async def _choose(self, session: AgentSession, mode: ModeRule | None) -> None:
        """Set what the run asks for; what the agent does not offer is told to whoever follows the run."""
        spec = self._spec
        wishes = (
            ("mode", "mode", mode.mode if mode else None),
            ("model", "model", spec.model),
            ("thought_level", "effort", spec.reasoning_effort),
        )
        for category, wish, value in wishes:
            if value is None or (self._adapter.conveys(wish) and not session.offers(category)):
                continue
            if not await session.choose(category, value):
                await self._progress(
                    "agent", f"The agent does not offer {category} '{value}'; it works with its default."
                )

    def _prompt(self, *, is_taken_up: bool) -> list[str]:
        spec = self._spec
        if self._adapter.name == DEFAULT_ADAPTER:
            return [spec.prompt]  # it is a program, and nothing else
        after = [output_instructions(spec.json_schema)] if spec.json_schema is not None else []
        if is_taken_up:
            return [spec.follow_up or spec.prompt, *after]
        before = [spec.memory] if spec.memory else []
        return [*before, spec.prompt, *after]

    async def _find_fault(self) -> str | None:
        """Return what to tell the agent of its structured output; None if that does."""
        if self._spec.json_schema is None or self._adapter.name == DEFAULT_ADAPTER:
            return None
        try:
            await self._structured()
        except OutputInvalid as error:
            await self._tell(f"{error.message} The agent gets one more turn.")
            return output_correction(error.message)
        return None

    async def _take_artifacts(self) -> None:
        """Copy out what the agent left for people; its processes are gone."""
        outbox = self._spec.outbox
        if outbox is None or not self._prepared:
            return
        left_out = await asyncio.to_thread(take_artifacts, self._workspace.work, outbox, self._masker.text)
        if left_out:
            await self._progress("collect", f"Not taken as artifacts: {', '.join(left_out)}")

    async def _structured(self) -> Any | None:
        spec = self._spec
        output = await asyncio.to_thread(read_output, self._workspace.work)
        if spec.json_schema is not None:
            confinement = self._workspace.confinement(readable=OWN_PROGRAM)
            await check_apart(
                spec.sandbox,
                confinement,
                spec.environment,
                output,
                spec.json_schema,
                watch=self._workspace.watch,
                seconds=spec.check_seconds,
            )
        return None if output is MISSING else output

    async def _collect(self) -> Collected:
        await self._progress("collect", "Collecting what the agent changed")
        spec = self._spec
        try:
            async with self._within_limits():
                collected = await self._workspace.collect(
                    spec.sandbox, spec.commit_subject, within=min(_COLLECT_TIME, spec.timeout)
                )
        except AgentError as error:
            await self._progress("collect", f"The agent's work is left out: {error.message}")
            raise
        if collected.left_out:
            await self._progress("collect", f"Not everything could be taken along: {collected.left_out}")
        return collected

    @asynccontextmanager
    async def _within_limits(self) -> AsyncIterator[None]:
        """Hold what comes after the agent to the run's limits, and end it soon after the run is to stop.

        What is gathered may take as much of the disk as the agent's own files did. Raises AgentOverLimit or
        AgentStopped.
        """
        policy, watch = self._spec.sandbox.policy, self._workspace.watch
        async with hurried(self._stop), watch.limiting(policy, disk_bytes=2 * policy.disk_bytes):
            yield

    async def _salvage(self) -> RunResult | None:
        """Return what a failed run left; that this fails too must not hide why the run did."""
        if not self._prepared:
            return None
        try:
            return self._result(await self._collect())
        except AgentError as error:
            _LOGGER.warning("run.nothing_salvaged", reason=error.message)
            reason = error.message
        except OSError as error:
            _LOGGER.exception("run.nothing_salvaged")
            reason = f"The agent's work cannot be gathered: {error.strerror}"
        return self._result(Collected(None, Changes([], b"", truncated=False), reason))

    def _result(self, collected: Collected) -> RunResult:
        return RunResult(
            structured=None,
            summary=self._summary,
            head_branch=None,
            head_sha=None,
            base_branch=self._workspace.base.branch,
            files_changed=collected.changes.files,
            patch=collected.changes.patch,
            patch_truncated=collected.changes.truncated,
            left_out=collected.left_out,
        )

    async def _push(self, result: RunResult, head: str | None) -> RunResult:
        remote = await self._remote() if head is not None else None
        if remote is None or head is None:
            return result
        branch = self._spec.push_branch
        await self._progress("push", f"Pushing {branch}")
        await self._workspace.push(remote, head, branch)
        return replace(result, head_branch=branch, head_sha=head)

    async def _tell(self, message: str) -> None:
        await self._progress("agent", message)

    async def _progress(self, step: str, message: str) -> None:
        _LOGGER.info("run.step", step=step, detail=message)
        await self._emit(notification("_taskbeacon/progress", {"step": step, "message": message}))


def _spoken(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    return f"{seconds // 60} minutes" if seconds >= 120 and seconds % 60 == 0 else f"{seconds} seconds"  # noqa: PLR2004
