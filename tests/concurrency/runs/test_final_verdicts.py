"""Whatever happens to a run at once, each attempt that ends has one final event in the ledger (contract 18.6)."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import TERMINAL_STATUSES, CheckStatus, RunStatus, Verdict
from app.models import Event, Run, Task, Verification
from app.services.runs.ci_reports import CiReport, fold_ci
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.runs.verification_attempts.verification_lifecycle import Conclusion
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.verification import COMMIT, make_verified_run, shown_verdict

Step = Callable[[], Awaitable[Any]]

ENDS = {f"run.{status}" for status in TERMINAL_STATUSES}
# Steps of one round begin together; those of the next find what they have left.
ROUNDS = st.lists(
    st.lists(st.sampled_from(["cancel", "skip", "verdict", "repair", "rerun", "ci"]), min_size=1, max_size=3),
    min_size=1,
    max_size=4,
)


def steps_of(client: httpx.AsyncClient, sessions: SessionFactory, url: str) -> dict[str, Step]:
    """Return what people, a worker and the code host do about a run, by name."""
    numbers = count(1)

    async def conclude(*, repair: str | None = None) -> None:
        verdict = Verdict.REFUTED if repair else Verdict.VERIFIED
        status = CheckStatus.FAILED if repair else CheckStatus.PASSED
        async with unit_of_work(sessions) as session:
            claimed = await verification_lifecycle.claim(session, owner=f"job {next(numbers)}")
        if claimed is None:
            return
        result = {**shown_verdict(verdict, status), "attempt": claimed.attempt, "attempts": claimed.attempt}
        conclusion = Conclusion(shown=result, repair=repair if claimed.delivery else None)
        async with unit_of_work(sessions) as session:
            await verification_lifecycle.conclude(session, claimed, conclusion, events=RecordingEvents())

    async def report_ci() -> None:
        number = next(numbers)
        report = CiReport(
            repository="acme/shop",
            branch="taskbeacon/tes-1",
            head_sha=COMMIT,
            subject="check_suite:1",
            name="CI",
            version=(number, 1, ""),
            conclusion=("success", "failure")[number % 2],
            url=None,
        )
        async with unit_of_work(sessions) as session:
            await fold_ci(session, report, events=RecordingEvents())

    return {
        "cancel": lambda: client.post(f"{url}/cancel"),
        "skip": lambda: client.post(f"{url}/command", json={"jsonrpc": "2.0", "method": "skip_verification"}),
        "verdict": conclude,
        "repair": lambda: conclude(repair="Correct it."),
        "rerun": lambda: client.post(f"{url}/verify"),
        "ci": report_ci,
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=ROUNDS)
async def test_each_attempt_that_ends_has_one_final_event(
    client: httpx.AsyncClient,
    session: AsyncSession,
    sessions: SessionFactory,
    task: Task,
    task_url: str,
    rounds: list[list[str]],
) -> None:
    run = await make_verified_run(session, task=task)
    steps = steps_of(client, sessions, f"{task_url}/runs/{run.id}")
    for names in rounds:
        answers = await asyncio.gather(*(steps[name]() for name in names))
        assert all(answer is None or answer.status_code < 500 for answer in answers)

    async with unit_of_work(sessions) as reading:
        status = await reading.scalar(select(Run.status).where(Run.id == run.id))
        rows = list(await reading.scalars(select(Verification).where(Verification.run_id == run.id)))
        recorded = select(Event).where(Event.run_id == run.id).order_by(Event.subject_seq)
        events = list(await reading.scalars(recorded))
        # Another example claims none of its attempts.
        await reading.execute(delete(Run).where(Run.id == run.id))

    is_over = status in TERMINAL_STATUSES
    assert len([event for event in events if event.type in ENDS]) == int(is_over)
    assert is_over or status in (RunStatus.IN_PROGRESS, RunStatus.QUEUED)
    for row in rows:
        finals = [
            event.data["verdict"]
            for event in events
            if event.data.get("attempt") == row.attempt
            and (event.data.get("final") or event.data.get("cause") == "rerun")
        ]
        has_ended = row.finished_at is not None and (is_over or row.delivery is None)
        assert finals == ([row.shown["verdict"]] if has_ended else []), f"attempt {row.attempt}"
