"""Runs as a client starts them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.storage.object_store import ObjectStore
from app.services.runs import run_lifecycle

UNKNOWN = "11111111-1111-4111-8111-111111111111"
CLAUDE = {"runtime_adapter": "claude", "model": "claude-opus-4-6"}
CODEX = {"runtime_adapter": "codex", "model": "gpt-5.5"}


async def started(client: httpx.AsyncClient, run_url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Start a run and return it, without its place in the queue (tests/contract/runs/test_queue_figures.py)."""
    response = await client.post(run_url, json=body)
    assert response.status_code == 200, response.text
    run: dict[str, Any] = response.json()["latest_run"]
    assert (run["state"].pop("queue_position") >= 1, run["state"].pop("waits_for")) == (True, "slot")
    return run


async def read_object(store: ObjectStore, key: str) -> bytes:
    """Return the content of an object, whatever time the service's clock shows."""
    async with store.open(key) as content:
        return b"".join([chunk async for chunk in content.chunks])


async def recover_lapsed(session: AsyncSession, *, events: RunEvents) -> tuple[list[UUID], list[UUID]]:
    """Recover all runs whose worker is lost, as a sweep does."""
    lapsed = (await session.scalars(run_lifecycle.lapsed_runs())).all()
    return await run_lifecycle.recover_lapsed(session, lapsed, events=events)


async def fail_silent(session: AsyncSession, *, silence: timedelta, events: RunEvents) -> list[UUID]:
    """Fail all runs whose agent is silent, as a sweep does."""
    silent = (await session.scalars(run_lifecycle.silent_runs(silence))).all()
    return await run_lifecycle.fail_silent(session, silent, silence=silence, events=events)
