"""Read the chain of resumed runs: a run, the run that it resumes, and so on (contract 9.2)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Text, cast, func, literal, select

from app.models import Run

MAX_DEPTH = 10
_RESUMED = "resume_from_run_id"


def resumes(state: Mapping[str, Any]) -> bool:
    """Return whether the `state` of a run names another run that it resumes. That other run need not exist."""
    return bool(state.get(_RESUMED))


def resume_chain(task_id: UUID, run_id: UUID, *columns: Any) -> CTE:
    """Return a recursive CTE of a run and of the runs that it resumes, directly or indirectly; at most ten rows.

    The rows have the given columns of the run and `depth`, which is 1 for the run itself. Clients write the state too:
    a value that names no run of the task ends the chain, and a circle ends at the limit.
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
