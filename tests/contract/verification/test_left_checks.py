"""Runs whose checks or repair a client ends by a PATCH of the status (contract 13.2, 18)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import TERMINAL_STATUSES, EventType, RunStatus, Verdict
from app.models import Event, Task
from app.services.retrying.policies import RUN_LEASE
from app.services.runs.run_lifecycle import silent_runs
from tests.support.factories import make_run
from tests.support.verification import OUTPUT, make_verified_run

# The status of a run in each phase, whether a worker holds it, and the verdict on what it delivered.
PHASES: Final[Mapping[str, tuple[RunStatus, bool, Verdict | None]]] = {
    "queued": (RunStatus.QUEUED, False, None),
    "held": (RunStatus.IN_PROGRESS, True, None),
    "being checked": (RunStatus.IN_PROGRESS, False, None),
    "repair queued": (RunStatus.QUEUED, False, Verdict.REFUTED),
    "repair held": (RunStatus.IN_PROGRESS, True, Verdict.REFUTED),
}
WRITTEN = {"answer": 42}


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("phase", PHASES)
async def test_status_of_a_patch_leaves_no_verification_open(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, phase: str, status: RunStatus
) -> None:
    """Regression: a repair that a client took over was "being checked" for ever, and lost what its agent wrote."""
    before, is_held, verdict = PHASES[phase]
    of_run: dict[str, Any] = {"status": before, "dispatch_requested_at": utcnow(), "output": None}
    if is_held:
        of_run |= {"lease_owner": "job", "lease_expires_at": utcnow() + RUN_LEASE}
    has_delivered = verdict is not None or phase == "being checked"
    if has_delivered:
        run = await make_verified_run(session, task=task, verdict=verdict, **of_run)
    else:
        run = await make_run(session, task=task, **of_run)
    url, is_over = f"{task_url}/runs/{run.id}", status in TERMINAL_STATUSES

    shown = await changed(client, url, {"status": status})

    is_verified = has_delivered and (is_over or status is before)
    assert (shown["status"], shown["verification"] is not None) == (status, is_verified)
    silent = list(await session.scalars(silent_runs(timedelta(0))))
    is_outside = status is RunStatus.IN_PROGRESS and before is RunStatus.QUEUED
    assert silent == ([run.id] if is_outside else [])
    if not is_over:
        await changed(client, url, {"output": WRITTEN})
        shown = await changed(client, url, {"status": RunStatus.COMPLETED})
    assert shown["output"] == (OUTPUT if is_verified else None if is_over else WRITTEN)
    finished = select(Event.data["final"]).where(
        Event.run_id == run.id, Event.type == EventType.VERIFICATION_FINISHED
    )
    assert list(await session.scalars(finished)) == [True] * has_delivered


async def changed(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.patch(url, json=body)
    assert answer.status_code == 200, answer.text
    run: dict[str, Any] = answer.json()
    return run
