"""Performs one run, from an empty folder to a pushed branch.

    prepare   clone the base of the work into a workspace
    set up    execute the set-up steps there
    converse  talk with one agent process in the sandbox
    collect   take commits, changed files and the patch, also of a run that failed
    push      push the new branch, only of a run that succeeded and was not stopped

Knows no database, queue or settings. Input is the context; output is the result, the effects, or an error
that a person can act on.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import structlog

from app.agents.adapters.installation import find_installed
from app.agents.errors import (
    AgentCancelled,
    AgentError,
    AgentOverLimit,
    AgentStopped,
    AgentTimedOut,
    BranchNotFound,
    PathRefused,
    as_agent_error,
)
from app.agents.execution.active_run import ActiveRun, ToolUse, until_stopped
from app.agents.execution.clone_setup import set_up
from app.agents.execution.collection_step import collect, keep_files, read_structured, salvage
from app.agents.execution.conversation_step import converse, open_conversation
from app.agents.execution.run_context import RunContext, RunEffects
from app.agents.files.attachments import place_attachments
from app.agents.files.safe_paths import read_file
from app.agents.masking import FolderHider, Masker
from app.agents.run_result import RunResult
from app.agents.session.agent_session import McpServer
from app.agents.session.conversation import Conversation
from app.agents.session.run_clock import WorkingTime
from app.agents.workspace.kept_session import SessionKeeper
from app.agents.workspace.live_patch import Comparison
from app.coroutines.periodic import alongside, cancel_all
from app.enums import DiffBase
from app.outages import DatabaseUnavailable
from app.tracing.spans import traced
from app.verdicts.definitions import unite

log = structlog.get_logger(__name__)
_FILE_BYTES = 2**16
# What is missing in a clone if this file of it contains this text.
_NOT_FETCHED = (
    (".gitattributes", b"filter=lfs", "Files of Git LFS are left as pointers"),
    (".gitmodules", b"[submodule", "Submodules are left empty"),
)


async def perform(context: RunContext, effects: RunEffects) -> RunResult:
    """Perform a run, from the clone to the pushed branch; return its result.

    At its end all processes have ended, and the folders are deleted or handed to the remover. It can be called again:
    the new branch replaces the earlier. At `effects.stop` a push in progress is ended; the code host may have taken the
    branch. Raises AgentError, with the work so far as `partial`, and DatabaseUnavailable of an effect.
    """
    async with _open_run(context, effects) as run:
        failure = await _clone_and_converse(run)
        # The agent has ended, so no command is accepted any more. A cancel that came too late for the agent counts.
        if await run.effects.commands.end():
            failure = AgentCancelled()
        try:
            await keep_files(run)
        except Exception as error:  # noqa: BLE001 - the patch can still be kept
            fault = _as_failure(error)
            failure = failure or fault
        if failure is not None:
            raise failure.with_partial(await salvage(run))
        partial, head = await collect(run)
        try:
            # `partial` has the work, so a stop can end the rest at once. A cancelled run must not be pushed.
            async with until_stopped(run.effects.stop):
                async with run.within_limits():
                    result = replace(partial, structured=await read_structured(run))
                result = await _push(run, result, head)
        except Exception as error:
            raise _as_failure(error).with_partial(partial) from error
        return result.mask(run.masker)


@asynccontextmanager
async def _open_run(context: RunContext, effects: RunEffects) -> AsyncIterator[ActiveRun]:
    # Masks what the block emits and raises. People can see the changes meanwhile.
    agent = context.agent
    installed = find_installed(agent.adapter, context.environment, agent.programs)
    token = secrets.token_urlsafe(32)
    keys = (*agent.variables.values(), *agent.adapter.secrets(context.environment))
    masker = Masker([*keys, *_secrets(context.servers), token])
    async with context.files.workspaces.open(context.run_id) as workspace:
        seen = context.sandbox.inside(workspace.places)
        hider = FolderHider(seen, workspace.places)
        run = ActiveRun(
            context=context,
            effects=replace(effects, emit=masker.mask_emit(hider.mask_emit(effects.emit))),
            installed=installed,
            workspace=workspace,
            masker=masker,
            tools=ToolUse(token),
            time=WorkingTime(context.limits.timeout - (context.limits.worked or timedelta())),
            keeper=SessionKeeper(
                agent.session, agent.adapter, home=workspace.home, folder=seen.folder, masker=masker
            ),
        )

        def hide(error: AgentError) -> AgentError:
            return error.with_message(hider.text(masker.text(error.message)))

        try:
            async with _showing_changes(run, hide):
                yield run
        except AgentError as error:
            partial = error.partial.mask(masker) if error.partial is not None else None
            # `from None`: the original error may hold secrets.
            raise hide(error).with_partial(partial) from None


@asynccontextmanager
async def _showing_changes(run: ActiveRun, hide: Callable[[AgentError], AgentError]) -> AsyncIterator[None]:
    show = run.effects.show_changes

    async def look(base: DiffBase) -> Comparison | None:
        if not run.is_prepared:
            return None
        try:
            branch = await run.source() if base is DiffBase.BRANCH else None
            if base is DiffBase.BRANCH and branch is None:
                raise BranchNotFound("The run has no repository.")
            is_whole = base is DiffBase.FIRST
            return await run.workspace.compare(run.context.sandbox, branch, is_whole=is_whole)
        except AgentError as error:
            raise hide(error) from None

    async with alongside(*([show(look)] if show is not None else [])):
        yield


def _secrets(servers: Sequence[McpServer]) -> Iterator[str]:
    for server in servers:
        yield server.url
        for header in server.headers:
            # Also without a word like `Bearer` before it.
            yield from (header.value, header.value.rpartition(" ")[2])


async def _clone_and_converse(run: ActiveRun) -> AgentError | None:
    conversation = open_conversation(run)
    watching: list[asyncio.Task[None]] = []
    try:
        async with run.time:
            watching += [
                asyncio.create_task(_end_when_stopped(run)),
                asyncio.create_task(conversation.listen()),
            ]
            monitor, policy = run.workspace.monitor, run.context.sandbox.policy
            async with monitor.enforce(policy):
                await prepare(run)
            # Outside of `enforce`: a step that exceeds the limits fails, and the run continues.
            run.definitions = await set_up(run)
            async with monitor.enforce(policy):
                await converse(run, conversation)
    except AgentOverLimit as error:
        # Logged now, so that the log has it right after the steps that caused it.
        await run.progress("agent", error.message)
        return error
    except TimeoutError as error:
        return _reason_of_end(run, conversation) if run.time.is_over else _as_failure(error)
    except Exception as error:  # noqa: BLE001 - what the agent did until then is kept
        return _as_failure(error)
    finally:
        await cancel_all(watching)
    return None


async def _end_when_stopped(run: ActiveRun) -> None:
    await run.effects.stop.wait()
    run.time.end()


def _reason_of_end(run: ActiveRun, conversation: Conversation) -> AgentError:
    if run.effects.stop.is_set():
        return AgentStopped("The run was stopped.")
    if conversation.is_cancelled:
        return AgentCancelled()
    if conversation.fault is not None:
        return _as_failure(conversation.fault)
    return AgentTimedOut(
        f"The run took longer than its limit of {_format_duration(run.context.limits.timeout)}."
    )


def _as_failure(error: Exception) -> AgentError:
    if isinstance(error, DatabaseUnavailable):
        raise error
    if not isinstance(error, AgentError):
        log.error("run.unexpected_error", exc_info=error)
    return as_agent_error(error)


@traced("run.push")
async def _push(run: ActiveRun, result: RunResult, head: str | None) -> RunResult:
    base, branch = run.workspace.base, run.context.repository.push_branch
    source = await run.source() if head is not None else None
    if source is None or head is None:
        # A run that continues a branch and adds nothing delivers the branch as it is. A repair does not.
        continues = base.start == branch and run.context.repository.began is None
        return replace(result, head_branch=branch, head_sha=base.sha) if continues else result
    await run.progress("push", f"Pushing {branch}")
    await run.workspace.repository.push(source.remote, head, branch, base)
    return replace(result, head_branch=branch, head_sha=head)


def _format_duration(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} minutes" if minutes > 1 and rest == 0 else f"{seconds} seconds"


@traced("run.prepare")
async def prepare(run: ActiveRun) -> None:
    """Clone the repository or make an empty one; copy the attached files there. Raises AgentError."""
    repository, files, workspace = run.context.repository, run.context.files, run.workspace
    source = repository.source
    await run.progress("clone", f"Cloning {source.remote.url}" if source else "Making an empty repository")
    await workspace.prepare(
        await run.source(),
        repository.push_branch,
        author=repository.author,
        began=repository.began,
        first=repository.first,
    )
    for file, mark, message in _NOT_FETCHED:
        if await asyncio.to_thread(_holds, workspace.work, file, mark):
            await run.progress("clone", message)
    if files.attachments:
        await asyncio.to_thread(place_attachments, workspace.work, files.attachments)
    run.definitions = unite(())
    base = workspace.base
    await run.progress(
        "clone",
        f"Working from {base.start} at {base.sha[:12]}" if base.sha else "Starting with an empty repository",
    )


def _holds(work: Path, file: str, mark: bytes) -> bool:
    try:
        return mark in read_file(work, file, _FILE_BYTES)
    except (PathRefused, OSError):
        return False
