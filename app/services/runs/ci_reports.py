"""Fold what the code host's own checks say of a delivered commit into the verification of its run (contract 18.7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_event_publisher import RunEvents
from app.db.statements import rows_of
from app.enums import CiState
from app.models import Integration, PushedBranch, Run, Task
from app.schemas.runs.verifications import CiOut
from app.services.retrying.due_rows import lock
from app.services.runs.verification_attempts.verification_lifecycle import note_ci

_MOST: Final = 200
_MOST_FAILED: Final = 20
_FAILURES: Final = frozenset({"failure", "timed_out"})
_PASSING: Final = frozenset({"success", "neutral", "skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CiReport:
    """One report of a check suite, check run or workflow run about a commit."""

    repository: str  # lower case
    branch: str
    head_sha: str
    subject: str  # what it is about: it stays when that is repeated
    name: str
    version: tuple[int, int, str]  # grows with each repetition, then with each change
    conclusion: str  # empty until it has ended
    url: str | None
    app_id: str = ""  # the GitHub App that reports it
    # The integration with the secret that signed the report; None: the service's own secret.
    integration_id: int | None = None

    @property
    def is_failure(self) -> bool:
        return self.conclusion in _FAILURES

    @property
    def state(self) -> CiState:
        if not self.conclusion:
            return CiState.PENDING
        return CiState.SUCCESS if self.conclusion in _PASSING else CiState.FAILURE


class _Check(TypedDict):
    version: list[Any]
    name: str
    state: CiState
    url: str | None


class _Known(TypedDict):
    """The newest report about each subject of a commit, as stored with a pushed branch."""

    head_sha: str
    checks: dict[str, _Check]


def is_from_others(app_id: Any) -> ColumnElement[bool]:
    # Leaves out the reports that the service itself has made.
    return or_(Integration.app_id.is_(None), Integration.app_id != app_id)


async def fold_ci(session: AsyncSession, report: CiReport, *, events: RunEvents) -> None:
    """Show the newest version of each report about a commit in the runs that delivered it. Can be repeated."""
    known = (
        select(PushedBranch.run_id, PushedBranch.ci)
        .outerjoin(Integration, Integration.id == PushedBranch.integration_id)
        .where(PushedBranch.repository == report.repository, PushedBranch.branch == report.branch)
        .where(PushedBranch.head_sha == report.head_sha, is_from_others(report.app_id))
    )
    if report.integration_id is not None:
        known = known.where(PushedBranch.integration_id == report.integration_id)
    # Branches before runs, as at the end of a run (worker/run/run_outcome.py).
    known = known.order_by(PushedBranch.run_id).with_for_update(of=PushedBranch)
    folded = [(run_id, ci, _with(ci, report)) for run_id, ci in await rows_of(session, known)]
    changed = {run_id: after for run_id, before, after in folded if after != before}
    # Lock all runs, then all tasks, before the first event is recorded, which locks a task. Each change of a run locks
    # in this order, so it cannot deadlock with this; nor can a second report about runs of the same tasks.
    runs = select(Run.id).where(Run.id.in_(changed))
    tasks = select(Task.id).where(Task.id.in_(select(Run.task_id).where(Run.id.in_(changed))))
    await session.execute(lock(runs, Run.id))
    await session.execute(lock(tasks, Task.id))
    for run_id, after in changed.items():
        await session.execute(update(PushedBranch).where(PushedBranch.run_id == run_id).values(ci=after))
        await note_ci(session, run_id, _summary(after), events=events)


def _with(before: Mapping[str, Any], report: CiReport) -> _Known:
    checks: dict[str, _Check] = dict(before.get("checks", {}))
    version = [*report.version, bool(report.conclusion)]
    old = checks.get(report.subject)
    if old is None or old["version"] <= version:
        checks[report.subject] = {
            "version": version,
            "name": report.name,
            "state": report.state,
            "url": report.url,
        }
    if len(checks) > _MOST:
        # A passed check is removed first, so that no failure is hidden.
        del checks[min(checks, key=lambda subject: _weight(checks[subject]))]
    return {"head_sha": report.head_sha, "checks": checks}


def _weight(check: _Check) -> tuple[int, list[Any]]:
    return (CiState.SUCCESS, CiState.PENDING, CiState.FAILURE).index(check["state"]), check["version"]


def _summary(ci: _Known) -> CiOut:
    checks = ci["checks"].values()
    failed = [check for check in checks if check["state"] == CiState.FAILURE]
    pending = [check for check in checks if check["state"] == CiState.PENDING]
    state = CiState.FAILURE if failed else CiState.PENDING if pending else CiState.SUCCESS
    return {
        "state": state,
        "head_sha": ci["head_sha"],
        "total": len(checks),
        "failed": sorted({check["name"] for check in failed})[:_MOST_FAILED],
        "url": next((check["url"] for check in (*failed, *pending, *checks) if check["url"]), None),
    }
