"""Copy to the row of a task what lists show of its latest run: its status, verdict and CI."""

from typing import Any
from uuid import UUID

from sqlalchemy import CTE, BigInteger, ColumnElement, case, literal, null, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import TERMINAL_STATUSES, ActivityKind, RunStatus
from app.models import Run, Task
from app.models.base import literal_int
from app.models.tasks import VERDICT_URGENCY
from app.services.events.activity_notes import moved_to, noted


def copies_of(verification: Any) -> dict[str, Any]:
    """Return the values of a task's columns that mirror the verification of its latest run, an SQL expression."""
    verdict = verification["verdict"].astext
    urgency = case(
        {name: literal_int(rank) for name, rank in VERDICT_URGENCY.items()},
        value=verdict,
        else_=literal_int(0),
    )
    return {"verdict_urgency": urgency, "latest_run_ci": verification[("ci", "state")].astext}


# The columns of a task that mirror the verification of its latest run.
COPIED = tuple(copies_of(Run.verification))


def mirror_opened(opened: CTE, *, has_event: bool) -> CTE:
    """Return a CTE that makes a new run the latest one of its task, which keeps no hints for it any more."""
    shown: dict[str, object] = {
        "latest_run_id": opened.c.id,
        "latest_run_status": opened.c.status,
        "verdict_urgency": literal_int(0),
        "latest_run_ci": null(),
        "encrypted_hints": null(),
    }
    if has_event:
        shown |= moved_to(opened.c.updated_at)
    return update(Task).where(Task.id == opened.c.task_id).values(shown).returning(Task.id).cte("mirrored")


def mirror_moved(moved: CTE, to: RunStatus, has_event: ColumnElement[bool], by: int | None) -> CTE:
    """Return a CTE that copies runs that were moved to the status `to`, by the user `by`, if it was one."""
    # The newest moved run of each task, which is its latest run if that has moved.
    newest = (
        select(moved, case((has_event, moved.c.updated_at)).label("recorded_at"))
        .ext(distinct_on(moved.c.task_id))
        .order_by(moved.c.task_id, moved.c.created_at.desc(), moved.c.id.desc())
        .subquery("newest")
    )
    is_latest = Task.latest_run_id == newest.c.id
    copies = {"latest_run_status": newest.c.status} | {name: newest.c[name] for name in COPIED}
    shown = {
        name: case((is_latest, copy), else_=getattr(Task, name)) for name, copy in copies.items()
    } | moved_to(newest.c.recorded_at)
    if to in TERMINAL_STATUSES:
        person = literal(by, BigInteger)
        shown |= noted(ActivityKind.COMPLETED, newest.c.updated_at, by=person, subject=newest.c.id)
    return update(Task).where(Task.id == newest.c.task_id).values(shown).returning(Task.id).cte("mirrored")


async def mirror_verification(session: AsyncSession, run_id: UUID) -> None:
    """Copy to a task what lists need of the verification of this run, if it is the latest, and if that has changed."""
    values = copies_of(Run.verification)
    is_new = or_(*(getattr(Task, name).is_distinct_from(value) for name, value in values.items()))
    copied = update(Task).where(
        Run.id == run_id, Task.id == Run.task_id, Task.latest_run_id == Run.id, is_new
    )
    await session.execute(copied.values(values))
