"""The jobs there are, and how a request asks for one: after its commit, never before.

A job that could not be queued is not lost: the row that asked for it is found by the sweeper (services/run_recovery.py).
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.queue import JobQueue
from app.db import after_commit

__all__ = ["EXECUTE_RUN", "enqueue_run", "request_run"]

EXECUTE_RUN = "execute_run"


def request_run(session: AsyncSession, queue: JobQueue, run_id: UUID) -> None:
    """Queue the run once this transaction is committed: earlier, a worker would not see it."""

    async def enqueue() -> None:
        await enqueue_run(queue, run_id)

    after_commit(session, enqueue)


async def enqueue_run(queue: JobQueue, run_id: UUID) -> bool:
    """Queue the run; False when it is queued or being performed already."""
    return await queue.enqueue(
        EXECUTE_RUN, job_id=f"{EXECUTE_RUN}:{run_id}", arguments={"run_id": str(run_id)}
    )
