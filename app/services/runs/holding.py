"""Which worker holds a run: the condition under which its job may still change anything."""

from typing import Any

from sqlalchemy import ColumnElement

from app.enums import RunStatus
from app.models import Run

__all__ = ["held_by"]


def held_by(run_id: Any, owner: Any) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on `Run` that leave the run only while the job `owner` has it; of values, or parameters."""
    return (Run.id == run_id, Run.status == RunStatus.IN_PROGRESS, Run.lease_owner == owner)
