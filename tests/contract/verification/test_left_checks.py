"""Runs whose checks or repair a client ends by a PATCH of the status (contract 13.2, 18)."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import TERMINAL_STATUSES, EventType, RunStatus, Verdict
from app.models import Event, Task
from app.models.runs.run_transitions import DELIVERED, RunPhase
from app.runtime import ProcessContext
from app.services.runs.lost_runs import recover_runs
from app.services.runs.run_lifecycle import silent_runs
from tests.support.verification import OUTPUT, make_run_in, make_verified_run

PHASES = [RunPhase.QUEUED, RunPhase.WORKING, *sorted(DELIVERED)]
WRITTEN = {"answer": 42}


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("phase", PHASES)
async def test_status_of_a_patch_leaves_no_verification_open(
    client: httpx.AsyncClient,
    session: AsyncSession,
    task: Task,
    task_url: str,
    phase: RunPhase,
    status: RunStatus,
) -> None:
    """Regression: a repair that a client took over was "being checked" for ever, and lost what its agent wrote."""
    run = await make_run_in(session, phase, task=task)
    before, has_delivered = run.status, phase in DELIVERED
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


async def test_repair_that_a_client_took_over_with_an_earlier_release_ends_as_any_run_outside(
    client: httpx.AsyncClient, session: AsyncSession, process: ProcessContext, task: Task, task_url: str
) -> None:
    """Regression: it was "being checked" for ever, by no attempt: no sweep found it, and a PATCH lost its output."""
    left: dict[str, Any] = {"status": RunStatus.IN_PROGRESS, "completed_at": None, "output": None}
    silent, patched = [
        await make_verified_run(session, task=task, verdict=Verdict.REFUTED, **left) for _ in range(2)
    ]
    url = f"{task_url}/runs/{patched.id}"
    await changed(client, url, {"output": WRITTEN})
    assert (await changed(client, url, {"status": RunStatus.COMPLETED}))["output"] == WRITTEN
    finished = select(Event.id).where(Event.type == EventType.VERIFICATION_FINISHED)
    assert list(await session.scalars(finished)) == []

    await recover_runs(process, silence=timedelta(microseconds=1))
    await session.refresh(silent)
    assert silent.status == RunStatus.FAILED
