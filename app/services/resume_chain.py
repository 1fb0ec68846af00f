"""Read the chain of resumed runs: a run, the run that it resumes, and so on (contract 9.2)."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CTE, Text, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import rows_of
from app.models import Run
from app.models.base import AnyColumn

MAX_DEPTH = 10
_RESUMED = "resume_from_run_id"


class EarlierRun(NamedTuple):
    """A run that another run resumes: its id, status and error, and the message with which its person started it."""

    id: UUID
    status: str
    error_message: str | None
    message: str | None


def resumes(state: Mapping[str, object]) -> bool:
    """Return whether the `state` of a run names another run that it resumes. That other run need not exist."""
    return bool(state.get(_RESUMED))


def resume_chain(task_id: UUID, run_id: UUID, *columns: AnyColumn) -> CTE:
    """Return a recursive CTE of a run and the runs that it resumes, directly or indirectly; it has at most ten rows.

    Each row has the given columns of its run and `depth`, which is 1 for the run `run_id` itself and grows by one with
    each resumed run. Clients can write the field that names the resumed run: a value that names no run of the task ends
    the chain, and a cycle ends after ten rows.
    """
    resumed = Run.state[_RESUMED].astext.label("resumed")
    chain = (
        select(resumed, literal(1).label("depth"), *columns)
        .where(Run.id == run_id, Run.task_id == task_id)
        .cte("chain", recursive=True)
    )
    # Compared as text: a cast would fail for a value that is not a UUID.
    further = (
        select(resumed, chain.c.depth + 1, *columns)
        .join(chain, cast(Run.id, Text) == func.lower(chain.c.resumed))
        .where(Run.task_id == task_id, chain.c.depth < MAX_DEPTH)
    )
    return chain.union_all(further)


async def earlier_runs(session: AsyncSession, task_id: UUID, run_id: UUID) -> tuple[EarlierRun, ...]:
    """Return the runs that a run resumes, oldest first; empty if there are none."""
    chain = resume_chain(task_id, run_id, Run.id, Run.status, Run.error_message, Run.state)
    message = chain.c.state["pending_user_message"].astext
    earlier = (
        select(chain.c.id, chain.c.status, chain.c.error_message, message.label("message"))
        .where(chain.c.id != run_id)
        .order_by(chain.c.depth.desc())
    )
    return tuple({run.id: run for run in await rows_of(session, earlier, EarlierRun)}.values())
