"""The stop of API and worker, with work and streams in progress. Last of this folder: its tests share the two."""

import json
from pathlib import Path

import httpx

from tests.e2e.conftest import Api
from tests.e2e.test_processes import is_running, start_run, wait_for_run
from tests.support.processes import ServiceProcess
from tests.support.streams import following
from tests.support.waiting import eventually


async def test_stop_ends_agents_and_streams_and_gives_runs_back(
    client: httpx.AsyncClient, api: Api, worker: ServiceProcess, tmp_path: Path
) -> None:
    mark = f"stopped-{tmp_path.name}"
    task_id = await start_run(client, f"```bash\nexec -a {mark} sleep 300\n```")

    await eventually(lambda: is_running(mark))
    assert "server" not in (await client.get(f"/{task_id}")).headers

    assert worker.stop() == 0

    run = await wait_for_run(client, task_id, "queued")
    assert "agent_started_at" not in run["state"]
    assert not is_running(mark)
    path = f"/{task_id}/runs/{run['id']}"
    async with following(client, path, start="latest") as one, following(client, path) as two:
        await two.take(1)
        api.process.ask_to_stop()
        assert [event.data["status"] for event in await two.rest() if "status" in event.data][-1:] == [
            "queued"
        ]
        assert await one.rest() == []
    assert api.process.stop() == 0
    logged = api.process.log.read_text()
    assert "exceeded" not in logged
    assert any(json.loads(line)["event"] == "Application shutdown complete." for line in logged.splitlines())
