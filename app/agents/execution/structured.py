"""The structured output of a run, checked against the JSON schema of its task."""

import asyncio
from typing import Any  # JSON

from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.agents.errors import OutputInvalid
from app.agents.execution.active_run import ActiveRun
from app.agents.workspace.output import MISSING, output_correction, read_output
from app.agents.workspace.output_check import check_apart
from app.processes.own_program import OWN_PROGRAM

__all__ = ["find_correction", "read_structured"]


async def read_structured(run: ActiveRun) -> Any | None:
    """Return the output that the agent wrote, None if it wrote none. Raises OutputInvalid."""
    context, workspace = run.context, run.workspace
    schema = context.agent.json_schema
    output = await asyncio.to_thread(read_output, workspace.work)
    if schema is not None:
        await check_apart(
            context.sandbox,
            workspace.confinement(readable=OWN_PROGRAM),
            context.environment,
            output,
            schema,
            watch=workspace.watch,
            seconds=context.limits.check_seconds,
        )
    return None if output is MISSING else output


async def find_correction(run: ActiveRun) -> str | None:
    """Return a prompt that asks the agent to correct its structured output; None if it is valid."""
    agent = run.context.agent
    if agent.json_schema is None or agent.adapter.name == DEFAULT_ADAPTER:
        return None
    try:
        await read_structured(run)
    except OutputInvalid as error:
        await run.progress("agent", f"{error.message} The agent gets one more turn.")
        return output_correction(error.message)
    return None
