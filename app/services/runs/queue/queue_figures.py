"""How many runs wait for a worker and how long, and how many are performed: of a project, or of all (contract 20)."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared
from app.models import Run
from app.models.runs.run import is_performed, is_waiting


class QueueFigures(NamedTuple):
    queued: int
    oldest_asked_at: datetime | None
    active: int

    @property
    def oldest_seconds(self) -> float:
        """How long the run that has waited longest has waited; 0 if none waits."""
        if self.oldest_asked_at is None:
            return 0.0
        return max(0.0, (utcnow() - self.oldest_asked_at).total_seconds())


def _select_figures(*terms: ColumnElement[bool]) -> Select[int, datetime | None, int]:
    waiting = (is_waiting(), *terms)
    # One subquery for each figure, so that each uses its own index: the oldest run is the first entry.
    return select(
        select(func.count()).select_from(Run).where(*waiting).scalar_subquery().label("queued"),
        select(func.min(Run.dispatch_requested_at))
        .where(*waiting)
        .scalar_subquery()
        .label("oldest_asked_at"),
        select(func.count()).select_from(Run).where(is_performed(), *terms).scalar_subquery().label("active"),
    )


_FIGURES = Prepared(_select_figures(), QueueFigures)
_FIGURES_OF_PROJECT = Prepared(_select_figures(Run.project_id == bindparam("project_id")), QueueFigures)


async def read_figures(session: AsyncSession, project_id: int | None = None) -> QueueFigures:
    """Return the figures of a project, or of all together (contract 20)."""
    if project_id is None:
        return await _FIGURES.one(session)
    return await _FIGURES_OF_PROJECT.one(session, {"project_id": project_id})
