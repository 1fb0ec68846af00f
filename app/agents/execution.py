"""Performs one run, from an empty folder to a pushed branch.

    clone    the base of the work, into a workspace of its own
    agent    one prompt to one agent process in the sandbox
    collect  commits, files changed and the patch, also of a run that failed
    push     the new branch; only of a run that succeeded

Knows no database, no queue and no settings: everything comes in with the spec, and goes out through `emit`
(entries of the run's log), the result, or an error that a human can act on.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any  # JSON
from uuid import UUID

import structlog
from acp.helpers import resource_link_block, text_block
from acp.schema import PermissionOption, ResourceContentBlock

from app.agents.acp import AgentSession, notification
from app.agents.catalog import DEFAULT_ADAPTER, Adapter, find_adapter
from app.agents.checking import check_apart
from app.agents.errors import AgentError, AgentFailed, AgentNotInstalled, AgentStopped, AgentTimedOut
from app.agents.files import Attachment, attached_path, place_attachments, take_artifacts
from app.agents.git import Remote
from app.agents.inside import OWN_PROGRAM
from app.agents.permissions import decide
from app.agents.repository import Author
from app.agents.sandbox import Sandbox, confined_environment
from app.agents.structured import MISSING, output_instructions, read_output
from app.agents.uninterrupted import uninterrupted
from app.agents.wire import LINE_LIMIT
from app.agents.workspace import Collected, Workspace, open_workspace

__all__ = ["Emit", "RunResult", "RunSpec", "perform"]

Emit = Callable[[dict[str, Any]], Awaitable[None]]  # takes one log entry

_LOGGER = structlog.get_logger(__name__)
_SUMMARY_CHARACTERS = 10_000
_UNFINISHED = {
    "max_tokens": "The agent stopped because it ran out of tokens.",
    "max_turn_requests": "The agent stopped because it made too many requests to its model.",
    "refusal": "The agent refused to do this.",
    "cancelled": "The agent was cancelled.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything that decides how a run goes."""

    run_id: UUID
    adapter: str  # a name of the catalog
    prompt: str
    root: Path  # the folder that holds all workspaces
    push_branch: str
    clone_url: str | None = None  # None: an empty repository
    base_branch: str | None = None  # None: the default branch
    clone_depth: int = 50  # commits of history; 0 = all
    model: str | None = None
    reasoning_effort: str | None = None
    permission_mode: str | None = None
    json_schema: Any = None  # when set, the output must be there and valid against it
    timeout: timedelta
    sandbox: Sandbox
    environment: Mapping[str, str]  # the worker's; the adapter's allow-list picks from it
    commit_subject: str  # of the commit made for uncommitted work
    author: Author = field(default_factory=Author)
    hidden: Sequence[Path] = ()  # what agents must not see, wherever it lies
    attachments: Sequence[Attachment] = ()  # files for the agent
    outbox: Path | None = None  # takes what the agent hands over, also of a run that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to."""

    structured: Any | None  # None also if the agent gave none
    summary: str
    head_branch: str | None  # None: nothing was pushed
    head_sha: str | None
    files_changed: list[str]
    patch: bytes
    patch_truncated: bool


async def perform(spec: RunSpec, emit: Emit, *, stop: asyncio.Event | None = None) -> RunResult:
    """Perform a run; when it returns or raises, its processes and its folder are gone.

    Once `stop` is set the agent is ended at once, and what it did so far is collected.

    Raises an AgentError, with what there was in `partial`; CancelledError and what `emit` raises pass through.
    Repeatable: the push branch of an earlier attempt at the same run is replaced.
    """
    adapter = find_adapter(spec.adapter)
    command = _installed(adapter, spec.environment)
    async with open_workspace(spec.root, spec.run_id, spec.environment, spec.hidden) as workspace:
        return await _Run(spec, emit, adapter, command, workspace, stop or asyncio.Event()).perform()


class _Run:
    """One run under way."""

    def __init__(
        self,
        spec: RunSpec,
        emit: Emit,
        adapter: Adapter,
        command: list[str],
        workspace: Workspace,
        stop: asyncio.Event,
    ) -> None:
        self._spec = spec
        self._emit = emit
        self._adapter = adapter
        self._command = command
        self._workspace = workspace
        self._stop = stop
        self._remote = Remote.parse(spec.clone_url) if spec.clone_url else None
        self._prepared = False
        self._summary = ""

    async def perform(self) -> RunResult:
        failure = await self._work()
        await self._take_artifacts()
        if failure is not None:
            failure.partial = await self._salvage()
            raise failure
        collected = await self._collect()
        partial = self._result(collected)
        try:
            result = replace(partial, structured=await self._structured())
            return await self._push(result, collected.head)
        except AgentError as error:
            error.partial = partial
            raise

    async def _work(self) -> AgentError | None:
        """Clone and let the agent work, within the wall-clock limit; return why that went wrong."""
        limit = asyncio.timeout(self._spec.timeout.total_seconds())
        watching = asyncio.create_task(self._expire_when_stopped(limit))
        try:
            async with limit:
                await self._prepare()
                await self._converse()
        except AgentError as error:
            return error
        except TimeoutError:
            if not limit.expired():
                raise
            if self._stop.is_set():
                return AgentStopped("The run was stopped.")
            return AgentTimedOut(f"The run took longer than its limit of {_spoken(self._spec.timeout)}.")
        finally:
            watching.cancel()
        return None

    async def _expire_when_stopped(self, limit: asyncio.Timeout) -> None:
        await self._stop.wait()
        if not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())

    async def _prepare(self) -> None:
        what = f"Cloning {self._remote.url}" if self._remote else "Making an empty repository"
        await self._progress("clone", what)
        spec = self._spec
        await self._workspace.prepare(
            self._remote, spec.base_branch, spec.push_branch, depth=spec.clone_depth, author=spec.author
        )
        await asyncio.to_thread(place_attachments, self._workspace.work, spec.attachments)
        self._prepared = True
        base = self._workspace.base
        await self._progress(
            "clone", f"Working from {base.branch} at {base.sha[:12]}" if base.sha else "Working from nothing"
        )

    async def _converse(self) -> None:
        spec = self._spec
        await self._progress(
            "agent", f"Starting the agent '{self._adapter.name}' (sandbox: {spec.sandbox.kind})"
        )
        confinement = self._workspace.confinement(
            readable=(
                *self._adapter.readable,
                *_program_folders(self._command[0], self._adapter.interpreter, spec.environment),
            ),
        )
        environment = confined_environment(spec.environment, confinement, self._adapter.environment)
        process = await spec.sandbox.start(
            self._command,
            confinement,
            {**environment, **dict(self._adapter.settings)},
            stdin=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        session = AgentSession(
            process, self._workspace.work, name=self._adapter.name, emit=self._emit, decide=self._decide
        )
        try:
            await session.start()
            await self._choose(session)
            stop_reason = await session.prompt(
                [*(text_block(text) for text in self._prompt()), *self._links()]
            )
        finally:
            self._summary = session.last_message[:_SUMMARY_CHARACTERS]
            await uninterrupted(session.close(at_once=self._stop.is_set()))
        if stop_reason in _UNFINISHED:
            raise AgentFailed(_UNFINISHED[stop_reason])

    async def _choose(self, session: AgentSession) -> None:
        """Set what the run asks for; what the agent does not offer is told to whoever follows the run."""
        spec = self._spec
        wishes = (
            ("mode", spec.permission_mode),
            ("model", spec.model),
            ("thought_level", spec.reasoning_effort),
        )
        for category, value in wishes:
            if value is not None and not await session.choose(category, value):
                await self._progress(
                    "agent", f"The agent does not offer {category} '{value}'; it works with its default."
                )

    async def _decide(self, options: Sequence[PermissionOption]) -> str | None:
        return decide(self._spec.permission_mode, options)

    def _prompt(self) -> list[str]:
        schema = self._spec.json_schema
        if schema is None or self._adapter.name == DEFAULT_ADAPTER:
            return [self._spec.prompt]
        return [self._spec.prompt, output_instructions(schema)]

    def _links(self) -> list[ResourceContentBlock]:
        work = self._workspace.work
        return [
            resource_link_block(
                attachment.name,
                attached_path(work, attachment).as_uri(),
                mime_type=attachment.content_type or None,
                size=attachment.size,
            )
            for attachment in self._spec.attachments
        ]

    async def _take_artifacts(self) -> None:
        """Copy out what the agent left for people; its processes are gone."""
        outbox = self._spec.outbox
        if outbox is None or not self._prepared:
            return
        left_out = await asyncio.to_thread(take_artifacts, self._workspace.work, outbox)
        if left_out:
            await self._progress("collect", f"Not taken as artifacts: {', '.join(left_out)}")

    async def _structured(self) -> Any | None:
        spec = self._spec
        output = await asyncio.to_thread(read_output, self._workspace.work)
        if spec.json_schema is not None:
            confinement = self._workspace.confinement(readable=OWN_PROGRAM)
            await check_apart(spec.sandbox, confinement, spec.environment, output, spec.json_schema)
        return None if output is MISSING else output

    async def _collect(self) -> Collected:
        await self._progress("collect", "Collecting what the agent changed")
        collected = await self._workspace.collect(self._spec.sandbox, self._spec.commit_subject)
        if collected.notes:
            await self._progress("collect", f"Not everything could be taken along: {collected.notes}")
        return collected

    async def _salvage(self) -> RunResult | None:
        """Return what a failed run left; that this fails too must not hide why the run did."""
        if not self._prepared:
            return None
        try:
            return self._result(await self._collect())
        except AgentError as error:
            _LOGGER.warning("run.nothing_salvaged", reason=error.message)
            return None

    def _result(self, collected: Collected) -> RunResult:
        return RunResult(
            structured=None,
            summary=self._summary,
            head_branch=None,
            head_sha=None,
            files_changed=collected.changes.files,
            patch=collected.changes.patch,
            patch_truncated=collected.changes.truncated,
        )

    async def _push(self, result: RunResult, head: str | None) -> RunResult:
        if self._remote is None or head is None:
            return result
        branch = self._spec.push_branch
        await self._progress("push", f"Pushing {branch}")
        await self._workspace.push(self._remote, head, branch)
        return replace(result, head_branch=branch, head_sha=head)

    async def _progress(self, step: str, message: str) -> None:
        _LOGGER.info("run.step", step=step, detail=message)
        await self._emit(notification("_taskbeacon/progress", {"step": step, "message": message}))


def _installed(adapter: Adapter, environment: Mapping[str, str]) -> list[str]:
    """Return the adapter's command with the path of its program. Raises AgentNotInstalled."""
    program = shutil.which(adapter.command[0], path=environment.get("PATH"))
    if program is None:
        raise AgentNotInstalled(
            f"The agent '{adapter.name}' is not installed on this worker: there is no program "
            f"'{adapter.command[0]}'. {adapter.install_hint}"
        )
    return [program, *adapter.command[1:]]


def _program_folders(program: str, interpreter: str | None, environment: Mapping[str, str]) -> list[Path]:
    """Return where a program and its parts lie: beside it, and beside what it links to.

    Agents from npm are links into `node_modules`, started by a `node` that may lie in somebody's home.
    """
    folders = []
    for name in (program, interpreter):
        found = shutil.which(name, path=environment.get("PATH")) if name else None
        if found is None:
            continue
        target = Path(found).resolve()
        modules = [parent for parent in target.parents if parent.name == "node_modules"]
        folders += [Path(found).parent, modules[-1] if modules else target.parent]
    return folders


def _spoken(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    return f"{seconds // 60} minutes" if seconds >= 120 and seconds % 60 == 0 else f"{seconds} seconds"  # noqa: PLR2004
