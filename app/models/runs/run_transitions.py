"""Which status of a run may follow which, and the phases that divide them; how a row shows its phase.

No column stores the phase: it follows from columns that the run's owner writes (services/runs/run_lifecycle.py).
Whether the agent has started or ended is no phase, but a fact of the run, which commands and recoveries read.
"""

from collections.abc import Mapping
from enum import StrEnum, auto
from typing import Final

from sqlalchemy import ColumnElement, and_, case

from app.enums import TERMINAL_STATUSES, RunStatus
from app.models.base import constant
from app.models.runs.run import Run

# The statuses that may follow each status. Clients that run agents themselves may set any status while the run is not
# over (contract 13.2). No status follows a terminal status, unless the run is reopened (`run_lifecycle.reopen`).
TRANSITIONS: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.NOT_STARTED: frozenset({RunStatus.QUEUED, RunStatus.IN_PROGRESS, *TERMINAL_STATUSES}),
    RunStatus.QUEUED: frozenset({RunStatus.NOT_STARTED, RunStatus.IN_PROGRESS, *TERMINAL_STATUSES}),
    RunStatus.IN_PROGRESS: frozenset({RunStatus.NOT_STARTED, RunStatus.QUEUED, *TERMINAL_STATUSES}),
    RunStatus.COMPLETED: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}


class RunPhase(StrEnum):
    """Who has a run: the queue, a worker, a client or its checks; none before its start and after its end (ADR 75)."""

    NOT_STARTED = auto()
    QUEUED = auto()
    WORKING = auto()
    OUTSIDE = auto()  # with a client, or an agent of its own
    CHECKING = auto()
    REPAIR_QUEUED = auto()
    REPAIRING = auto()
    OVER = auto()


# The phases of a run that has delivered work and is not over.
DELIVERED: Final = frozenset({RunPhase.CHECKING, RunPhase.REPAIR_QUEUED, RunPhase.REPAIRING})

_IS_HELD = Run.lease_expires_at.is_not(None)
_HAS_DELIVERED = Run.verification.is_not(None)
_HAS_OPEN_ATTEMPT = and_(_HAS_DELIVERED, Run.verification["verdict"].astext.is_(None))
_IS_QUEUED = Run.status == constant(RunStatus.QUEUED)
_IS_IN_PROGRESS = Run.status == constant(RunStatus.IN_PROGRESS)
# A row meets the condition of one phase.
_CONDITIONS: Mapping[RunPhase, ColumnElement[bool]] = {
    RunPhase.NOT_STARTED: Run.status == constant(RunStatus.NOT_STARTED),
    RunPhase.QUEUED: and_(_IS_QUEUED, ~_HAS_DELIVERED),
    RunPhase.WORKING: and_(_IS_IN_PROGRESS, _IS_HELD, ~_HAS_DELIVERED),
    # COMPATIBILITY: 0.1.0 keeps the verdict of a repair that a client takes over.
    RunPhase.OUTSIDE: and_(_IS_IN_PROGRESS, ~_IS_HELD, ~_HAS_OPEN_ATTEMPT),
    RunPhase.CHECKING: and_(_IS_IN_PROGRESS, ~_IS_HELD, _HAS_OPEN_ATTEMPT),
    RunPhase.REPAIR_QUEUED: and_(_IS_QUEUED, _HAS_DELIVERED),
    RunPhase.REPAIRING: and_(_IS_IN_PROGRESS, _IS_HELD, _HAS_DELIVERED),
    RunPhase.OVER: Run.status.in_([constant(status) for status in sorted(TERMINAL_STATUSES)]),
}
# The phase of a run, as SQL reads it.
PHASE: ColumnElement[str] = case(
    *((condition, constant(phase)) for phase, condition in _CONDITIONS.items())
).label("phase")


def is_in(phase: RunPhase) -> ColumnElement[bool]:
    """Return the SQL condition for runs in this phase."""
    return _CONDITIONS[phase]
