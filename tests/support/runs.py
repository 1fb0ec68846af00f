"""Runs as a client starts them."""

from typing import Any

import httpx

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
