"""Measure claims of runs: a worker's transaction, in projects of each size in which thousands of runs wait."""

import time
from typing import Final

import asyncpg

from app.db import unit_of_work
from app.runtime import ProcessContext
from app.services.runs import run_lifecycle
from bench.data import ProjectOfSize
from bench.load import Cost, cpu_seconds

_CLAIMS: Final = 50
_BACKENDS: Final = "SELECT pid FROM pg_stat_activity WHERE application_name = 'taskbeacon-bench'"
# One in seven runs of a project is queued, and waits for no worker while requests are measured.
_ASK: Final = """
UPDATE runs SET dispatch_requested_at = created_at WHERE project_id = $1 AND status = 'queued'
"""
_TAKE_BACK: Final = """
UPDATE runs SET dispatch_requested_at = NULL WHERE project_id = $1 AND status = 'queued'
"""


async def measure_claims(
    process: ProcessContext, connection: asyncpg.Connection, project: ProjectOfSize
) -> Cost:
    """Let all queued runs of a project wait, claim fifty of them one after the other, and return the cost."""

    async def claim() -> float:
        began = time.perf_counter()
        async with unit_of_work(process.sessions) as session:
            claimed = await run_lifecycle.claim(session, owner="bench", events=process.events)
        assert claimed is not None
        assert claimed.project_id == project.id
        return time.perf_counter() - began

    await connection.execute(_ASK, project.id)
    # Opens the connection and prepares the statements.
    await claim()
    backends = [pid for (pid,) in await connection.fetch(_BACKENDS)]
    began, own, database = time.perf_counter(), time.process_time(), cpu_seconds(backends)
    cost = Cost([await claim() for _ in range(_CLAIMS)])
    cost.seconds = time.perf_counter() - began
    cost.server_cpu, cost.database_cpu = time.process_time() - own, cpu_seconds(backends) - database
    await connection.execute(_TAKE_BACK, project.id)
    return cost
