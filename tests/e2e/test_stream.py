"""A run that is followed from another process, over real HTTP, from its first moment to its end."""

import httpx

from tests.support.deployment.processes import ServiceProcess
from tests.support.web.streams import following


async def create_run(client: httpx.AsyncClient, description: str) -> str:
    """Create a run that no worker performs yet, and return its path."""
    task = (await client.post("", json={"description": description})).json()
    run = (await client.post(f"/{task['id']}/runs", json={"environment": "cloud"})).json()
    return f"/{task['id']}/runs/{run['id']}"


async def test_run_of_a_worker_is_followed_to_its_end(
    client: httpx.AsyncClient, worker: ServiceProcess
) -> None:
    path = await create_run(client, "```say\nworking\n```\n```file path=a.md\nHello\n```")

    async with following(client, path) as stream:
        [opened] = await stream.take(1)
        assert opened.data["status"] == "queued"
        assert (await client.post(f"{path}/start")).status_code == 200
        received = await stream.rest()

    states = [event.data["status"] for event in received if event.data["type"] == "task_run_state"]
    assert (states[0], states[-1]) == ("in_progress", "completed"), worker.log.read_text()
    entries = [event.data for event in received if event.data["type"] == "notification"]
    logged = (await client.get(f"{path}/session_logs")).json()
    # The log holds the same, in the same order, but for pieces of messages.
    assert [entry for entry in entries if entry in logged] == logged
    assert "working" in str(logged)
    # All of it came before the end, and a late follower gets the same.
    async with following(client, path, after=opened.id) as again:
        assert await again.rest() == received
