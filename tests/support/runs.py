"""Runs as a client starts them."""

from typing import Any

import httpx

from app.clients.object_store import ObjectStore

UNKNOWN = "11111111-1111-4111-8111-111111111111"
CLAUDE = {"runtime_adapter": "claude", "model": "claude-opus-4-6"}
CODEX = {"runtime_adapter": "codex", "model": "gpt-5.5"}


async def started(client: httpx.AsyncClient, run_url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Start a run and return it, without its place among those that wait (tests/contract/runs/test_queue.py)."""
    response = await client.post(run_url, json=body)
    assert response.status_code == 200, response.text
    run: dict[str, Any] = response.json()["latest_run"]
    assert run["state"].pop("queue_position") >= 1
    return run


async def read_object(store: ObjectStore, key: str) -> bytes:
    """Return the content of an object, whatever time the service's clock shows."""
    async with store.open(key) as content:
        return b"".join([chunk async for chunk in content.chunks])
