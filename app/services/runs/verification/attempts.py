"""The attempts to check what runs delivered: who performs each, and what follows from its verdict (contract 18.3).

A run whose work is checked is in progress, and no job holds it. Its open attempt is a row, which a job claims by lease:

    conclude against cancel    the run's row is locked first: the run ends by the verdict, or is cancelled and the
                               attempt is closed, so that the job's verdict is refused
    conclude against recovery  the first decides: the verdict counts, or another worker repeats the attempt and the
                               verdict of the lost one is refused
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, bindparam, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clients.run_event_publisher import RunEvents
from app.clock import utcnow, wire_time
from app.enums import EventType, RunReason, RunStatus, StopReason, Verdict
from app.models import Run, VerdictReport, Verification
from app.services.events.run_ledger import record_artifacts, record_for_run
from app.services.runs import lifecycle as run_lifecycle
from app.services.runs.lifecycle import RunEnd
from app.services.verification.results import OPEN, shown_lost
from app.statements import Prepared, row_of, rows_of

# Without a heartbeat for this long, the worker of an attempt counts as lost.
LEASE = timedelta(seconds=60)
_MOST_LOSSES = 2
# How events count checks by their status; all others are inconclusive.
_COUNTED_AS = {"passed": "passed", "failed_before": "passed", "failed": "failed", "skipped": "skipped"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDelivery:
    """What a run has delivered, and how it ends if its work is not corrected: completed with `output` and `state`."""

    commit: str
    base: str | None
    output: Any
    has_schema: bool  # so that the output is the agent's alone
    worked: timedelta  # which a repair goes on from
    state: Mapping[str, Any]
    artifacts: Sequence[Mapping[str, Any]]
    definitions: Mapping[str, Any]
    # The new attempt as the API shows it.
    shown: Mapping[str, Any]


class OpenAttempt(NamedTuple):
    """An attempt that a job has claimed."""

    run_id: UUID
    attempt: int
    project_id: int
    task_id: UUID
    commit: str
    base: str | None
    previous_verdict: str | None
    definitions: dict[str, Any] | None
    # None: the run was over before.
    delivery: dict[str, Any] | None
    shown: dict[str, Any]
    lease_owner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The result of an attempt: as the API shows it with its verdict, and whether the agent is to correct its work."""

    shown: Mapping[str, Any]
    # What the agent is told; None if the run ends.
    repair: str | None = None
    failures: str | None = None
    # The end of the run, if it is not completed with what it delivered.
    error_message: str | None = None
    artifacts: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


async def deliver(
    session: AsyncSession, run_id: UUID, delivery: RunDelivery, *, owner: str, events: RunEvents
) -> int:
    """Open an attempt to check what the run that the job `owner` holds has delivered; the job gives up the run.

    Return its number, 0 if the job does not hold the run. The caller puts the job of the attempt on the queue.
    """
    stage = await session.scalar(select(Run.stage).where(Run.id == run_id).with_for_update())
    attempt = await _next_attempt(session, run_id)
    shown = {
        **delivery.shown,
        "attempt": attempt,
        "attempts": attempt,
        "commit": delivery.commit,
        "base": delivery.base,
    }
    given_up = await run_lifecycle.await_checks(
        session, run_id, artifacts=delivery.artifacts, verification=shown, owner=owner, events=events
    )
    if not given_up:
        return 0
    kept = {
        "output": delivery.output,
        "has_schema": delivery.has_schema,
        "worked_seconds": delivery.worked.total_seconds(),
        "state": dict(delivery.state),
        "stage": stage,
    }
    await session.execute(
        insert(Verification).values(
            run_id=run_id,
            attempt=attempt,
            commit=delivery.commit,
            base=delivery.base,
            delivery=kept,
            definitions=delivery.definitions,
            shown=shown,
            created_at=utcnow(),
        )
    )
    started = {"attempt": attempt, "commit": delivery.commit}
    await record_for_run(session, run_id, EventType.VERIFICATION_STARTED, [started])
    return attempt


async def _next_attempt(session: AsyncSession, run_id: UUID) -> int:
    newest = select(func.coalesce(func.max(Verification.attempt), 0)).where(Verification.run_id == run_id)
    return int(await session.scalar(newest) or 0) + 1


async def claim(session: AsyncSession, *, owner: str) -> OpenAttempt | None:
    """Claim the attempt that has waited longest, for the job that is named `owner`; return None if none waits."""
    return await _CLAIM.first(session, {"owner": owner, "until": utcnow() + LEASE})


_COLUMNS = (
    Verification.run_id,
    Verification.attempt,
    Run.project_id,
    Run.task_id,
    Verification.commit,
    Verification.base,
    Verification.previous_verdict,
    Verification.definitions,
    Verification.delivery,
    Verification.shown,
    Verification.lease_owner,
)
_UNCLAIMED: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None}
_waiting = aliased(Verification)
_CLAIM = Prepared(
    update(Verification)
    .where(
        tuple_(Verification.run_id, Verification.attempt).in_(
            select(_waiting.run_id, _waiting.attempt)
            .where(_waiting.finished_at.is_(None), _waiting.lease_owner.is_(None))
            .order_by(_waiting.created_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        ),
        Run.id == Verification.run_id,
    )
    .values(lease_owner=bindparam("owner"), lease_expires_at=bindparam("until"))
    .returning(*_COLUMNS),
    OpenAttempt,
)
_CLOSE = Prepared(
    update(Verification)
    .where(
        Verification.run_id == bindparam("run"),
        Verification.finished_at.is_(None),
        Run.id == Verification.run_id,
    )
    .values(_UNCLAIMED | {"finished_at": bindparam("now", type_=Verification.finished_at.type)})
    .returning(*_COLUMNS),
    OpenAttempt,
)
_LAPSED = Prepared(
    select(*_COLUMNS)
    .join(Run, Run.id == Verification.run_id)
    .where(
        Verification.finished_at.is_(None),
        Verification.lease_expires_at <= bindparam("now", type_=Verification.finished_at.type),
    )
    .order_by(Verification.created_at),
    OpenAttempt,
)


async def extend_lease(session: AsyncSession, claimed: OpenAttempt) -> bool:
    """Extend the lease on an attempt; return False if its job has lost it, and must stop."""
    kept = (
        update(Verification)
        .where(*_held(claimed))
        .values(lease_expires_at=utcnow() + LEASE)
        .returning(Verification.run_id)
    )
    return await session.scalar(kept) is not None


async def hand_back(session: AsyncSession, claimed: OpenAttempt) -> None:
    """Give an attempt up, because its worker is being stopped; another one repeats it."""
    await session.execute(update(Verification).where(*_held(claimed)).values(_UNCLAIMED))


async def note_progress(session: AsyncSession, claimed: OpenAttempt, shown: Mapping[str, Any]) -> None:
    """Store what an attempt has shown so far, unless its job has lost it."""
    await _lock(session, claimed.run_id)
    noted = update(Verification).where(*_held(claimed)).values(shown=_keeping_ci(shown))
    if (kept := await session.scalar(noted.returning(Verification.shown))) is not None:
        await _show(session, claimed.run_id, kept)


async def conclude(
    session: AsyncSession,
    claimed: OpenAttempt,
    conclusion: Conclusion,
    *,
    events: RunEvents,
) -> bool:
    """Store the result of an attempt, and end its run, or queue it for a repair.

    Of a run that was over before, only the verification changes. Return False if the job has lost the attempt.
    """
    run_id = claimed.run_id
    await _lock(session, run_id)
    closed = (
        update(Verification)
        .where(*_held(claimed))
        .values(
            _UNCLAIMED
            | {
                "finished_at": utcnow(),
                "shown": _keeping_ci(conclusion.shown),
                "repair": conclusion.repair,
                "failures": conclusion.failures,
            }
        )
        .returning(Verification.shown)
    )
    shown = await session.scalar(closed)
    if shown is None:
        return False
    conclusion = replace(conclusion, shown=shown)
    if conclusion.artifacts:
        added = Run.artifacts.op("||")(list(conclusion.artifacts))
        await session.execute(update(Run).where(Run.id == run_id).values(artifacts=added))
        await record_artifacts(session, run_id, conclusion.artifacts)
    if claimed.delivery is None:
        await _show(session, run_id, shown)
        await _record_update(session, run_id, shown, cause="rerun", previous=claimed.previous_verdict)
        await _request_report(session, run_id)
    elif conclusion.repair is not None:
        await _record_finish(session, run_id, shown, is_final=False)
        await run_lifecycle.queue_repair(
            session, run_id, stage=claimed.delivery["stage"], verification=light(shown), events=events
        )
    else:
        await _end(session, run_id, claimed.delivery, conclusion, owner=None, events=events)
    return True


async def _end(
    session: AsyncSession,
    run_id: UUID,
    delivery: Mapping[str, Any],
    conclusion: Conclusion,
    *,
    owner: str | None,
    events: RunEvents,
) -> None:
    shown, output = conclusion.shown, delivery["output"]
    await _record_finish(session, run_id, shown, is_final=True)
    if not delivery["has_schema"]:
        output = {**output, "verification": {name: shown[name] for name in ("verdict", "reasons")}}
    end = RunEnd(
        status=RunStatus.COMPLETED,
        output=output,
        state=delivery["state"],
        verification=light(shown),
        stage=delivery["stage"],
    )
    if conclusion.error_message is not None:
        end = replace(
            end,
            status=RunStatus.FAILED,
            reason=RunReason.VERIFICATION_FAILED,
            error_message=conclusion.error_message,
        )
    await run_lifecycle.finish(session, run_id, end, owner=owner, events=events)


async def stop_repair(
    session: AsyncSession, run_id: UUID, *, stopped: str, owner: str | None, events: RunEvents
) -> bool:
    """End a run whose repair came to nothing with what it delivered before; `stopped` says why (contract 18.5).

    The job `owner` holds the run. Return False if there was no repair under way.
    """
    newest = (
        select(Verification.attempt, Verification.delivery, Verification.shown)
        .where(Verification.run_id == run_id, Verification.delivery.is_not(None))
        .order_by(Verification.attempt.desc())
        .limit(1)
    )
    found = await row_of(session, newest)
    if found is None:
        return False
    attempt, delivery, shown = found
    assert delivery is not None
    shown = {**shown, "stopped": stopped}
    row = update(Verification).where(Verification.run_id == run_id, Verification.attempt == attempt)
    await session.execute(row.values(shown=shown))
    await _end(session, run_id, delivery, Conclusion(shown=shown), owner=owner, events=events)
    return True


async def skip(session: AsyncSession, run_id: UUID, *, events: RunEvents) -> None:
    """Close the open attempt of a run because a member asks for it, and end the run with what it delivered.

    The caller holds the lock on the run's row.
    """
    closed = await _close(session, run_id, Verdict.CLAIMED, "skipped_by_member")
    if closed is not None and closed.delivery is not None:
        conclusion = Conclusion(shown=closed.shown)
        await _end(session, run_id, closed.delivery, conclusion, owner=None, events=events)


async def abandon(session: AsyncSession, run_id: UUID) -> None:
    """Close the open attempt of a run that is cancelled or starts again. The caller holds the lock on the run's row."""
    closed = await _close(session, run_id, Verdict.INCONCLUSIVE, "cancelled")
    if closed is not None:
        await _show(session, run_id, closed.shown)
        if closed.delivery is not None:
            stage = closed.delivery["stage"]
            await session.execute(update(Run).where(Run.id == run_id).values(stage=stage))
        await _record_finish(session, run_id, closed.shown, is_final=True)


async def _close(session: AsyncSession, run_id: UUID, verdict: Verdict, code: str) -> OpenAttempt | None:
    """Close the open attempt of a run with a verdict for one reason; return it, or None if there is none.

    The job that performs the attempt finds that it has lost it.
    """
    closed = await _CLOSE.first(session, {"run": run_id, "now": utcnow()})
    if closed is None:
        return None
    shown = {
        **closed.shown,
        "verdict": verdict,
        "reasons": [{"code": code, "check": None, "detail": ""}],
        "finished_at": wire_time(),
    }
    await session.execute(update(Verification).where(*_row(closed)).values(shown=shown))
    return closed._replace(shown=shown)


async def reopen(session: AsyncSession, run_id: UUID, commit: str, base: str | None) -> int:
    """Open an attempt to check the commit that a run which is over has delivered; return its number.

    The caller holds the lock on the run's row, and puts the job of the attempt on the queue.
    """
    before: Any = await session.scalar(select(Run.verification).where(Run.id == run_id))
    attempt = await _next_attempt(session, run_id)
    claims, ci = (before["claims"], before["ci"]) if before else ([], None)
    shown = {
        **OPEN,
        "attempt": attempt,
        "attempts": attempt,
        "commit": commit,
        "base": base,
        "claims": claims,
        "ci": ci if ci and ci["head_sha"] == commit else None,
    }
    await session.execute(
        insert(Verification).values(
            run_id=run_id,
            attempt=attempt,
            commit=commit,
            base=base,
            previous_verdict=before and before["verdict"],
            shown=shown,
            created_at=utcnow(),
        )
    )
    await _show(session, run_id, shown)
    return attempt


async def note_waiver(
    session: AsyncSession, run_id: UUID, shown: Mapping[str, Any], waiver: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Add a waiver to the verification of a run, as it is shown; return it.

    The caller holds the lock on the run's row.
    """
    waived = {"waived": True, "waivers": [*shown["waivers"], waiver]}
    added = Verification.shown.op("||")(waived)
    row = (Verification.run_id == run_id, Verification.attempt == shown["attempt"])
    await session.execute(update(Verification).where(*row).values(shown=added))
    shown = {**shown, **waived}
    await _show(session, run_id, shown)
    await _record_update(session, run_id, shown, cause="waiver", previous=shown["verdict"])
    return shown


async def note_ci(session: AsyncSession, run_id: UUID, ci: Mapping[str, Any]) -> None:
    """Show what the code host's own checks say of the commit that a run delivered; the verdict stays.

    Nothing happens if the run has no verification, or one of another commit.
    """
    await _lock(session, run_id)
    shown: Any = await session.scalar(select(Run.verification).where(Run.id == run_id))
    if shown is None or shown["commit"] not in (None, ci["head_sha"]) or shown["ci"] == ci:
        return
    is_news = shown["ci"] is None or shown["ci"]["state"] != ci["state"]
    shown = {**shown, "ci": dict(ci)}
    row = (Verification.run_id == run_id, Verification.attempt == shown["attempt"])
    await session.execute(
        update(Verification).where(*row).values(shown=Verification.shown.op("||")({"ci": dict(ci)}))
    )
    await _show(session, run_id, shown)
    if is_news and shown["attempts"] and shown["verdict"]:
        await _record_update(session, run_id, shown, cause="ci", previous=shown["verdict"])


def _keeping_ci(shown: Mapping[str, Any]) -> ColumnElement[Any]:
    """Return what is shown with the `ci` of the row, which a webhook may have changed since it was read."""
    own = func.jsonb_build_object("ci", Verification.shown["ci"])
    return literal(dict(shown), Verification.shown.type).op("||")(own)


async def end_lost_repairs(session: AsyncSession, *, events: RunEvents) -> None:
    """End the runs whose agent was lost while it corrected its work, with what it delivered before."""
    for run_id, owner in await run_lifecycle.lock_lost_repairs(session):
        await stop_repair(session, run_id, stopped=StopReason.AGENT, owner=owner, events=events)


async def recover_attempts(session: AsyncSession, *, events: RunEvents) -> list[tuple[UUID, int]]:
    """Give the attempts of lost workers to others, and return these; conclude those that have lost too many."""
    again = (
        update(Verification)
        .where(
            Verification.finished_at.is_(None),
            Verification.lease_expires_at <= utcnow(),
            Verification.losses < _MOST_LOSSES,
        )
        .values(_UNCLAIMED | {"losses": Verification.losses + 1})
        .returning(Verification.run_id, Verification.attempt)
    )
    lost = await rows_of(session, again)
    given_up = await _LAPSED.all(session, {"now": utcnow()})
    for claimed in given_up:
        await conclude(session, claimed, Conclusion(shown=shown_lost(claimed.shown)), events=events)
    if lost or given_up:
        log.warning("verification.worker_lost", repeated=len(lost), given_up=len(given_up))
    return lost


async def waiting(session: AsyncSession, *, asked_before: datetime, most: int) -> list[tuple[UUID, int]]:
    """Return the run and the number of attempts that have waited for a worker since before `asked_before`."""
    found = (
        select(Verification.run_id, Verification.attempt)
        .where(
            Verification.finished_at.is_(None),
            Verification.lease_owner.is_(None),
            Verification.created_at <= asked_before,
        )
        .order_by(Verification.created_at)
        .limit(most)
    )
    return await rows_of(session, found)


async def earlier_failures(session: AsyncSession, run_id: UUID) -> set[str]:
    """Return what failed in the earlier attempts at a run, as digests."""
    known = select(Verification.failures).where(
        Verification.run_id == run_id, Verification.failures.is_not(None)
    )
    return set(await session.scalars(known))


def light(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attempt as runs show it: without the output of its checks and set-up."""
    trimmed = {
        name: [{key: value for key, value in item.items() if key != "tail"} for item in shown[name]]
        for name in ("checks", "setup")
    }
    return {**shown, **trimmed}


async def _lock(session: AsyncSession, run_id: UUID) -> None:
    """Lock the run's row: before that of its attempt, as those do who cancel it."""
    await session.execute(select(Run.id).where(Run.id == run_id).with_for_update())


async def _show(session: AsyncSession, run_id: UUID, shown: Mapping[str, Any]) -> None:
    values = update(Run).values(verification=light(shown), updated_at=utcnow())
    await session.execute(values.where(Run.id == run_id))
    await run_lifecycle.mirror_verification(session, run_id)


def _row(claimed: OpenAttempt) -> tuple[Any, ...]:
    return (Verification.run_id == claimed.run_id, Verification.attempt == claimed.attempt)


def _held(claimed: OpenAttempt) -> tuple[Any, ...]:
    return (
        *_row(claimed),
        Verification.finished_at.is_(None),
        Verification.lease_owner == claimed.lease_owner,
    )


async def _record_finish(
    session: AsyncSession, run_id: UUID, shown: Mapping[str, Any], *, is_final: bool
) -> None:
    counts = dict.fromkeys(("passed", "failed", "inconclusive", "skipped"), 0)
    for check in shown["checks"]:
        counts[_COUNTED_AS.get(check["status"], "inconclusive")] += 1
    said = {name: shown[name] for name in ("verdict", "attempt", "commit")}
    data = {**said, "counts": counts, "final": is_final}
    await record_for_run(session, run_id, EventType.VERIFICATION_FINISHED, [data])
    await _request_report(session, run_id)


async def _request_report(session: AsyncSession, run_id: UUID) -> None:
    asked = {"asked_at": utcnow(), "due_at": utcnow()}
    row = upsert(VerdictReport).values(run_id=run_id, **asked)
    await session.execute(row.on_conflict_do_update(index_elements=[VerdictReport.run_id], set_=asked))


async def _record_update(
    session: AsyncSession,
    run_id: UUID,
    shown: Mapping[str, Any],
    *,
    cause: str,
    previous: str | None,
) -> None:
    data = {
        "verdict": shown["verdict"],
        "previous_verdict": previous,
        "attempt": shown["attempt"],
        "cause": cause,
        "waived": shown["waived"],
    }
    await record_for_run(session, run_id, EventType.VERIFICATION_UPDATED, [data])
