"""The attempts to check what runs delivered: who performs each, and what follows from its verdict (contract 18.3).

A run whose work is checked is in progress, and no job holds it. Its open attempt is a row, which a job claims by lease.
Where two transactions change the same attempt, the first to commit wins, and the other one learns that it changed
nothing:

    claim against claim         each job gets another attempt; a job that did not learn of its commit gets it again
    conclude against cancel     each locks the run's row first. Either the run ends by the verdict; or it is cancelled
                                and the attempt is closed, so that the job's verdict is refused
    conclude against recovery   either the verdict counts; or another worker repeats the attempt, and the verdict of the
                                lost one is refused
    heartbeat against recovery  either the job keeps the attempt; or it learns that it has lost it. Like any sweep, the
                                recovery waits for no lock (services/runs/run_lifecycle.py)
    conclude against waiver     of an earlier run with the same commit: each locks the task. If the waiver is first, it
                                is of both runs, else of the earlier run alone
    re-run against cancel       as conclude against cancel, but the run was over before and keeps its status
    deliver against cancel      the run is cancelled, with what its agent has made, and its attempt is closed, if any
    repair against cancel       the cancel ends the repair with the run, whose last verdict is the final one
    repair against recovery     either the worker keeps the run; or it learns that the run has ended

The results of an attempt are merged into the JSON of its row and of its run, so that no writer overwrites those of
another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Select, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.run_result import RunResult
from app.clients.live_events.run_event_publisher import RunEvents
from app.clock import utcnow
from app.db import after_commit
from app.db.statements import count_changed, row_of, rows_of
from app.dialogue.storable_text import storable
from app.enums import EventType, OnUnverified, RunReason, RunStatus, StopReason, Verdict, VerdictReason
from app.json_types import JsonDict
from app.models import Run, VerdictReport, Verification
from app.models.runs.run import held_by
from app.models.runs.verifications import Delivery
from app.schemas.runs.artifacts import ManifestEntry
from app.schemas.runs.verifications import CiOut, VerificationOut, WaiverOut
from app.services.artifacts.manifest import add_artifact
from app.services.events.run_ledger import record_for_run
from app.services.questions import verdict_questions
from app.services.retrying.policies import ATTEMPT_LOSSES, RUN_LEASE
from app.services.run_log.log_entries import STATE_COLUMNS, RunState, announce_state
from app.services.runs import run_lifecycle
from app.services.runs.run_lifecycle import RunEnd
from app.services.runs.verification_attempts.shown_results import show_closed, show_first, show_lost
from app.services.tasks.latest_run import mirror_verification
from app.verdicts.definitions import StoredDefinitions, store_definitions
from app.verdicts.judgement import Judgement, Reason

UNVERIFIED = (Verdict.REFUTED, Verdict.INCONCLUSIVE)
_UNCLAIMED: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None}
# How events count checks by their status; all others are inconclusive.
_COUNTED_AS = {"passed": "passed", "failed_before": "passed", "failed": "failed", "skipped": "skipped"}

log = structlog.get_logger(__name__)


class OpenAttempt(NamedTuple):
    """An attempt that a job has claimed, or the last attempt of a run, by which the run ends."""

    run_id: UUID
    attempt: int
    project_id: int
    task_id: UUID
    commit: str
    base: str | None
    previous_verdict: str | None
    definitions: StoredDefinitions | None
    # None: the run was over before the attempt.
    delivery: Delivery | None
    shown: VerificationOut
    lease_owner: str | None
    losses: int
    traceparent: str | None


class _OfRun(NamedTuple):
    verification: VerificationOut | None


_KEY = (Verification.run_id, Verification.attempt)
_IS_OPEN = Verification.finished_at.is_(None)
_OF_RUN = ("project_id", "task_id", "traceparent")
_COLUMNS = [getattr(Run if name in _OF_RUN else Verification, name) for name in OpenAttempt._fields]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDelivery:
    """The work that a run has delivered since the commit `base`, and the end of the run if nothing is corrected."""

    work: RunResult
    base: str | None
    end: RunEnd
    has_schema: bool  # so that the output is the agent's alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The result of an attempt: what it shows in the end, and whether the agent is to correct its work."""

    shown: Mapping[str, object]
    # The message to the agent; None if the run ends.
    repair: str | None = None
    failures: str | None = None


async def deliver(
    session: AsyncSession, run_id: UUID, delivery: RunDelivery, *, owner: str, events: RunEvents
) -> int:
    """Open an attempt for the run that `owner` gives up; return its number, or 0. The caller enqueues its job."""
    work, end = delivery.work, delivery.end
    assert work.definitions is not None
    assert work.head_sha is not None
    before = await _lock(session, Run.id == run_id)
    stage = await session.scalar(select(Run.stage).where(Run.id == run_id))
    if not await run_lifecycle.await_checks(
        session, run_id, artifacts=end.artifacts, owner=owner, events=events
    ):
        return 0
    kept: Delivery = {
        "output": end.output,
        "has_schema": delivery.has_schema,
        "worked_seconds": work.worked.total_seconds(),
        "began": work.base.sha or "",
        "state": dict(end.state),
        "stage": stage,
        "earlier": [] if before is None else await _failures(session, run_id, before["attempt"]),
    }
    shown = show_first(work.head_sha, delivery.base, work.definitions, work.claims)
    definitions = store_definitions(work.definitions)
    attempt = await _open(session, run_id, before, shown, delivery=kept, definitions=definitions)
    started = {"attempt": attempt, "commit": work.head_sha}
    await record_for_run(session, run_id, EventType.VERIFICATION_STARTED, [started])
    return attempt


async def _failures(session: AsyncSession, run_id: UUID, attempt: int) -> list[str]:
    failures = select(Verification.delivery["earlier"], Verification.failures)
    ((earlier, last),) = await rows_of(session, failures.where(*_named(run_id, attempt)))
    return [*earlier, last]


async def reopen(session: AsyncSession, run_id: UUID, commit: str, base: str | None) -> int:
    """Open an attempt to check the commit of a run that is over; return its number. The caller enqueues the job."""
    before = await _lock(session, Run.id == run_id)
    return await _open(session, run_id, before, show_first(commit, base))


async def _open(
    session: AsyncSession,
    run_id: UUID,
    before: VerificationOut | None,
    shown: VerificationOut,
    **values: object,
) -> int:
    newest = select(func.max(Verification.attempt)).where(Verification.run_id == run_id)
    shown["attempt"] = shown["attempts"] = (await session.scalar(newest) or 0) + 1
    if before is not None:
        ci = before["ci"]
        shown["claims"] = shown["claims"] or before["claims"]
        shown["ci"] = ci if ci and ci["head_sha"] == shown["commit"] else None
    opened = insert(Verification).values(
        run_id=run_id,
        attempt=shown["attempt"],
        commit=shown["commit"],
        base=shown["base"],
        previous_verdict=before and before["verdict"],
        shown=shown,
        created_at=utcnow(),
        **values,
    )
    await session.execute(opened)
    await _show_of_run(session, run_id, _without_output(shown))
    return shown["attempt"]


async def claim(session: AsyncSession, *, owner: str) -> OpenAttempt | None:
    """Claim the next attempt for the job that is named `owner`; return None if none waits."""
    lease_owner = Verification.lease_owner
    of_run = Run.id == Verification.run_id
    busy = (
        select(Run.project_id, func.count().label("attempts"))
        .join(Verification, of_run)
        .where(_IS_OPEN, lease_owner.is_not(None))
        .group_by(Run.project_id)
        .cte("busy")
    )
    next_one = (
        select(*_KEY)
        .join(Run, of_run)
        .outerjoin(busy, busy.c.project_id == Run.project_id)
        .where(_IS_OPEN, or_(lease_owner == owner, lease_owner.is_(None)))
        .order_by(
            # First the attempt that this job has claimed already, if that commit was not acknowledged.
            lease_owner,
            # Re-runs come last, since no run waits for them. The project with the fewest claimed attempts comes first.
            Verification.delivery.is_(None),
            func.coalesce(busy.c.attempts, 0),
            Verification.created_at,
        )
        .limit(1)
        .with_for_update(key_share=True, skip_locked=True, of=Verification)
        # A CTE runs once. A subquery may run again for each row, and choose another attempt.
        .cte("next_one")
    )
    claimed = (
        update(Verification)
        .where(tuple_(*_KEY).in_(select(*next_one.c)), Run.id == Verification.run_id)
        .values(lease_owner=owner, lease_expires_at=utcnow() + RUN_LEASE)
        .returning(*_COLUMNS)
    )
    return await row_of(session, claimed, OpenAttempt)


async def extend_lease(session: AsyncSession, claimed: OpenAttempt) -> bool:
    """Extend the lease on an attempt; return False if its job has lost it, and must stop."""
    return await _change(session, claimed, lease_expires_at=utcnow() + RUN_LEASE)


async def hand_back(session: AsyncSession, claimed: OpenAttempt) -> bool:
    """Give an attempt up for another worker, whose job the caller puts on the queue; False if this job has lost it."""
    return await _change(session, claimed, **_UNCLAIMED)


async def note_progress(session: AsyncSession, claimed: OpenAttempt, shown: Mapping[str, object]) -> None:
    """Show the results of an attempt so far, unless its job has lost it."""
    await _lock(session, Run.id == claimed.run_id)
    if await extend_lease(session, claimed):
        await _show(session, claimed.run_id, claimed.attempt, shown)


async def add_log(session: AsyncSession, claimed: OpenAttempt, entry: ManifestEntry) -> bool:
    """Add the output of a check to the files of its run, unless the job has lost it; False if there is no room."""
    await _lock(session, Run.id == claimed.run_id)
    is_lost = not await extend_lease(session, claimed)
    return is_lost or await add_artifact(session, claimed.run_id, entry)


async def _change(session: AsyncSession, claimed: OpenAttempt, **values: object) -> bool:
    is_held = Verification.lease_owner == claimed.lease_owner
    held = update(Verification).where(*_named(claimed.run_id, claimed.attempt), _IS_OPEN, is_held)
    return await count_changed(session, held.values(values)) > 0


async def conclude(
    session: AsyncSession, claimed: OpenAttempt, conclusion: Conclusion, *, events: RunEvents
) -> bool:
    """Store an attempt's result; end its run or queue a repair, unless it was over. False: the job lost the attempt."""
    run_id = claimed.run_id
    await _lock(session, Run.id == run_id)
    result = {"repair": storable(conclusion.repair), "failures": conclusion.failures, "finished_at": utcnow()}
    if not await _change(session, claimed, **_UNCLAIMED, **result):
        return False
    shown = await _show(session, run_id, claimed.attempt, conclusion.shown)
    if claimed.delivery is None:
        await _record_update(session, run_id, shown, cause="rerun", previous=claimed.previous_verdict)
        await verdict_questions.renew(session, run_id, shown)
    elif conclusion.repair is not None:
        await _record_finish(session, run_id, shown, is_final=False)
        await run_lifecycle.queue_repair(session, run_id, stage=claimed.delivery["stage"], events=events)
    else:
        await _end(session, run_id, claimed, shown, events=events)
    return True


async def _end(
    session: AsyncSession,
    run_id: UUID,
    last: OpenAttempt,
    shown: VerificationOut,
    *,
    owner: str | None = None,
    events: RunEvents,
) -> None:
    await _record_finish(session, run_id, shown, is_final=True)
    # Read after the event is recorded, which locks the task. A waiver locks it too, so each earlier one is seen here.
    if shown["verdict"] in UNVERIFIED and (waivers := await _waivers_of_same_work(session, last)):
        shown = await _show(session, run_id, last.attempt, {"waived": True, "waivers": waivers})
    assert last.delivery is not None
    delivery, status = last.delivery, _status(last.definitions, shown)
    output, state = _output(delivery, shown), delivery["state"]
    end = RunEnd(status=status, output=output, state=state, stage=delivery["stage"])
    if status is RunStatus.FAILED:
        fault = f"The result is not verified: {shown['verdict']}"
        end = replace(end, reason=RunReason.VERIFICATION_FAILED, error_message=fault)
    is_ended = await run_lifecycle.finish(session, run_id, end, owner=owner, events=events)
    if is_ended and status is not RunStatus.CANCELLED:
        await verdict_questions.ask(session, run_id, shown)


async def _waivers_of_same_work(session: AsyncSession, last: OpenAttempt) -> list[WaiverOut]:
    # The waivers of the task's newest other run that delivered this commit.
    is_same = (Run.task_id == last.task_id, Run.verification["commit"].astext == last.commit)
    others = select(Run.verification).where(*is_same, Run.id != last.run_id)
    newest = await row_of(session, others.order_by(Run.created_at.desc(), Run.id.desc()).limit(1), _OfRun)
    return newest.verification["waivers"] if newest and newest.verification else []


def _status(definitions: StoredDefinitions | None, shown: VerificationOut) -> RunStatus:
    if shown["stopped"] == StopReason.CANCELLED:
        return RunStatus.CANCELLED
    assert definitions is not None
    fails = definitions["on_unverified"] == OnUnverified.FAIL and shown["verdict"] in UNVERIFIED
    return RunStatus.FAILED if fails and not shown["waived"] else RunStatus.COMPLETED


def _output(delivery: Delivery, shown: VerificationOut) -> object:
    if delivery["has_schema"]:
        return delivery["output"]
    return {**delivery["output"], "verification": _part(shown, "verdict", "reasons")}


def _part(shown: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: shown[name] for name in names}


async def stop_repair(
    session: AsyncSession, run_id: UUID, *, stopped: str, owner: str | None, events: RunEvents
) -> bool:
    """End a run whose repair failed, with its earlier work (contract 18.5); False: `owner` holds no repair."""
    before = await _lock(session, *held_by(run_id, owner))
    if before is None:
        return False
    last, shown = await _stop_loop(session, run_id, before["attempt"], stopped)
    await _end(session, run_id, last, shown, owner=owner, events=events)
    return True


async def skip(session: AsyncSession, run_id: UUID, *, events: RunEvents) -> None:
    """Close the open attempt of a locked run at the request of a member; end the run with its work."""
    closed, shown = await _close(session, run_id, Verdict.CLAIMED, VerdictReason.SKIPPED_BY_MEMBER)
    await _end(session, run_id, closed, shown, events=events)


async def abandon(session: AsyncSession, run_id: UUID, *, is_over: bool) -> None:
    """Close the open attempt or repair of a locked run that starts again, or that `is_over` and keeps its work."""
    before = await _lock(session, Run.id == run_id)
    assert before is not None
    changed = update(Run).where(Run.id == run_id)
    if before["verdict"] is None:
        closed, shown = await _close(session, run_id, Verdict.INCONCLUSIVE, VerdictReason.CANCELLED)
        if (delivery := closed.delivery) is None:
            await _record_update(session, run_id, shown, cause="rerun", previous=closed.previous_verdict)
            return
        await session.execute(changed.values(stage=delivery["stage"]))
    else:
        last, shown = await _stop_loop(session, run_id, before["attempt"], StopReason.CANCELLED)
        delivery = last.delivery
        assert delivery is not None
    if is_over:
        ended = run_lifecycle.with_state(delivery["state"])
        await session.execute(changed.values(output=_output(delivery, shown), **ended))
    await _record_finish(session, run_id, shown, is_final=True)


async def _stop_loop(
    session: AsyncSession, run_id: UUID, attempt: int, stopped: str
) -> tuple[OpenAttempt, VerificationOut]:
    found = select(*_COLUMNS).where(*_named(run_id, attempt), Run.id == Verification.run_id)
    (last,) = await rows_of(session, found, OpenAttempt)
    return last, await _show(session, run_id, attempt, {"stopped": stopped})


async def _close(
    session: AsyncSession, run_id: UUID, verdict: Verdict, reason: VerdictReason
) -> tuple[OpenAttempt, VerificationOut]:
    # The job that performs the attempt finds that it has lost it.
    open_one = Verification.run_id == run_id, _IS_OPEN, Run.id == Verification.run_id
    closing = update(Verification).where(*open_one).values(_UNCLAIMED | {"finished_at": utcnow()})
    (closed,) = await rows_of(session, closing.returning(*_COLUMNS), OpenAttempt)
    end = show_closed(Judgement(verdict, (Reason(reason),)), closed.shown["checks"])
    return closed, await _show(session, run_id, closed.attempt, end)


async def note_waiver(
    session: AsyncSession, run_id: UUID, before: VerificationOut, waiver: Mapping[str, object]
) -> VerificationOut:
    """Add a waiver to the verification of a locked run, as it is shown; return it."""
    waived = {"waived": True, "waivers": [*before["waivers"], waiver]}
    shown = await _show(session, run_id, before["attempt"], waived)
    await _record_update(session, run_id, shown, cause="waiver", previous=shown["verdict"])
    return shown


async def note_ci(session: AsyncSession, run_id: UUID, ci: CiOut, *, events: RunEvents) -> None:
    """Show the code host's own checks of a commit in the verification of a run, if that is about this commit."""
    before = await _lock(session, Run.id == run_id)
    if before is None or before["commit"] not in (None, ci["head_sha"]) or before["ci"] == ci:
        return
    is_news = before["ci"] is None or before["ci"]["state"] != ci["state"]
    shown = await _show(session, run_id, before["attempt"], {"ci": ci})
    if is_news and shown["attempts"] and shown["verdict"]:
        await _record_update(session, run_id, shown, cause="ci", previous=shown["verdict"])
    for run in await rows_of(session, select(*STATE_COLUMNS).where(Run.id == run_id), RunState):
        announce_state(session, events, run)


async def end_lost_repairs(session: AsyncSession, run_ids: Sequence[UUID], *, events: RunEvents) -> None:
    """End those of the runs whose worker was lost while the agent corrected its work, with the earlier work."""
    lost = run_lifecycle.unlocked(run_lifecycle.lost_repairs().where(Run.id.in_(run_ids)))
    for run_id, owner in await rows_of(session, lost):
        await stop_repair(session, run_id, stopped=StopReason.AGENT, owner=owner, events=events)


def lapsed_attempts() -> Select[UUID]:
    """Return a SELECT of the runs whose checks have lost their worker."""
    return select(Verification.run_id).where(_IS_OPEN, Verification.lease_expires_at <= utcnow())


async def recover_attempts(session: AsyncSession, run_ids: Sequence[UUID], *, events: RunEvents) -> None:
    """Release the lapsed attempts to check these runs for other workers; conclude those with too many losses."""
    lapsed = (
        lapsed_attempts().where(Verification.run_id.in_(run_ids)).join(Run, Run.id == Verification.run_id)
    )
    lapsed = run_lifecycle.unlocked(lapsed.with_only_columns(*_COLUMNS))
    for lost in await rows_of(session, lapsed, OpenAttempt):
        is_repeated = lost.losses < ATTEMPT_LOSSES - 1
        noted = partial(
            log.warning, "verification.worker_lost", run_id=str(lost.run_id), repeated=is_repeated
        )
        after_commit(session, noted)
        if is_repeated:
            await _change(session, lost, **_UNCLAIMED, losses=lost.losses + 1)
        else:
            conclusion = Conclusion(shown=show_lost(lost.shown["checks"]))
            await conclude(session, lost, conclusion, events=events)


def waiting_attempts(asked_before: datetime) -> Select[UUID, int]:
    """Return a SELECT of the run and the number of attempts that wait for a worker since before `asked_before`."""
    waits = (_IS_OPEN, Verification.lease_owner.is_(None), Verification.created_at <= asked_before)
    return select(*_KEY).where(*waits).order_by(Verification.created_at)


async def _lock(session: AsyncSession, *conditions: ColumnElement[bool]) -> VerificationOut | None:
    # The run's row is locked before its attempt's, as by a cancel.
    locked = select(Run.verification).where(*conditions).with_for_update(key_share=True)
    found = await row_of(session, locked, _OfRun)
    return found and found.verification


async def _show(
    session: AsyncSession, run_id: UUID, attempt: int, changes: Mapping[str, object]
) -> VerificationOut:
    seen = storable(dict(changes))
    shown = Verification.shown.op("||")(seen)
    await session.execute(update(Verification).where(*_named(run_id, attempt)).values(shown=shown))
    return await _show_of_run(session, run_id, Run.verification.op("||")(_without_output(seen)))


async def _show_of_run(session: AsyncSession, run_id: UUID, shown: object) -> VerificationOut:
    changed = update(Run).where(Run.id == run_id).values(verification=shown, updated_at=utcnow())
    (kept,) = await rows_of(session, changed.returning(Run.verification), _OfRun)
    assert kept.verification is not None
    await mirror_verification(session, run_id)
    return kept.verification


def _without_output(shown: Mapping[str, Any]) -> JsonDict:
    trimmed = {
        name: [{key: value for key, value in item.items() if key != "tail"} for item in shown[name]]
        for name in ("checks", "setup")
        if name in shown
    }
    return {**shown, **trimmed}


def _named(run_id: UUID, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return (Verification.run_id == run_id, Verification.attempt == attempt)


async def _record_finish(
    session: AsyncSession, run_id: UUID, shown: VerificationOut, *, is_final: bool
) -> None:
    counts = dict.fromkeys(("passed", "failed", "inconclusive", "skipped"), 0)
    for check in shown["checks"]:
        counts[_COUNTED_AS.get(check["status"], "inconclusive")] += 1
    data = {**_part(shown, "verdict", "attempt", "commit"), "counts": counts, "final": is_final}
    await record_for_run(session, run_id, EventType.VERIFICATION_FINISHED, [data])
    await _request_report(session, run_id)


async def _record_update(
    session: AsyncSession, run_id: UUID, shown: VerificationOut, *, cause: str, previous: str | None
) -> None:
    data = {**_part(shown, "verdict", "attempt", "waived"), "previous_verdict": previous, "cause": cause}
    await record_for_run(session, run_id, EventType.VERIFICATION_UPDATED, [data])
    if cause != "ci":
        await _request_report(session, run_id)


async def _request_report(session: AsyncSession, run_id: UUID) -> None:
    asked = {"asked_at": utcnow(), "due_at": utcnow()}
    row = upsert(VerdictReport).values(run_id=run_id, **asked)
    await session.execute(row.on_conflict_do_update(index_elements=[VerdictReport.run_id], set_=asked))
