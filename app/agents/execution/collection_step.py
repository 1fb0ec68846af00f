"""Collects the work of an agent that has ended, also of a failed run."""

import asyncio
from datetime import timedelta

import structlog

from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.agents.errors import AgentError, OutputInvalid
from app.agents.execution.active_run import ActiveRun
from app.agents.files.attachments import take_artifacts
from app.agents.git.run_repository import Changes
from app.agents.run_result import RunResult, WholeBranch, WorkBase
from app.agents.workspace.run_workspace import Collected
from app.agents.workspace.structured_output import MISSING, check_apart, output_correction, read_output
from app.tracing.spans import traced

log = structlog.get_logger(__name__)
_COLLECT_TIME = timedelta(minutes=5)


async def keep_files(run: ActiveRun) -> None:
    """Copy artifacts and conversation to the paths that the context names; log what cannot be. Raises OSError."""
    files = run.context.files
    if files.outbox is not None and run.is_prepared:
        left_out = await asyncio.to_thread(take_artifacts, run.workspace.work, files.outbox, run.masker.text)
        if left_out:
            await run.progress("collect", f"Not taken as artifacts: {', '.join(left_out)}")
    if files.session_file is not None:
        await asyncio.to_thread(run.keeper.keep, files.session_file)


async def collect(run: ActiveRun) -> tuple[RunResult, str | None]:
    """Gather the work; return the result, and the commit to push, None if nothing changed. Raises AgentError."""
    collected = await _gather(run)
    return _result(run, collected), collected.head


async def salvage(run: ActiveRun) -> RunResult | None:
    """Return what can be gathered of a failed run's work. Raises nothing: the run's own error is the one to report."""
    if not run.is_prepared:
        return None
    try:
        return _result(run, await _gather(run))
    except AgentError as error:
        log.warning("run.nothing_salvaged", reason=error.message)
        reason = error.message
    except Exception as error:
        log.exception("run.nothing_salvaged")
        cause = error.strerror if isinstance(error, OSError) else "unexpected error"
        reason = f"The agent's work cannot be gathered: {cause}"
    return _result(run, Collected(None, Changes(), reason))


@traced("run.collect")
async def _gather(run: ActiveRun) -> Collected:
    await run.progress("collect", "Collecting what the agent changed")
    context = run.context
    try:
        async with run.within_limits():
            collected = await run.workspace.collect(
                context.sandbox,
                context.repository.commit_subject,
                within=min(_COLLECT_TIME, context.limits.timeout),
                program=context.limits.gather,
            )
    except AgentError as error:
        await run.progress("collect", f"The agent's work is left out: {error.message}")
        raise
    if collected.left_out:
        await run.progress("collect", f"Not everything could be taken along: {collected.left_out}")
    return collected


def _result(run: ActiveRun, collected: Collected) -> RunResult:
    whole = collected.whole
    return RunResult(
        structured=None,
        summary=run.summary,
        head_branch=None,
        head_sha=None,
        base=WorkBase(run.workspace.base.branch, run.workspace.began),
        definitions=run.definitions,
        claims=run.tools.claims,
        worked=(run.context.limits.worked or timedelta()) + run.time.worked,
        files_changed=collected.changes.files,
        patch=collected.changes.patch,
        texts=collected.changes.texts,
        whole=None if whole is None or whole.left_out else WholeBranch(whole.patch, whole.texts),
        left_out=collected.left_out,
    )


async def read_structured(run: ActiveRun) -> object | None:
    """Return the structured output, None if there is none and no schema. Raises OutputInvalid."""
    context, workspace = run.context, run.workspace
    schema = context.agent.json_schema
    seen = context.sandbox.inside(workspace.places)
    output = await asyncio.to_thread(read_output, workspace.work, seen.work)
    if schema is not None:
        await check_apart(workspace, context.sandbox, output, schema, seconds=context.limits.check_seconds)
    return None if output is MISSING else output


async def find_correction(run: ActiveRun) -> str | None:
    """Return a prompt that asks the agent to correct its structured output; None if there is nothing to correct."""
    agent = run.context.agent
    if agent.json_schema is None or agent.adapter.name == DEFAULT_ADAPTER:
        return None
    try:
        await read_structured(run)
    except OutputInvalid as error:
        await run.progress("agent", f"{error.message} The agent gets one more turn.")
        return output_correction(error.message)
    return None
