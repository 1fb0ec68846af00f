"""The origin's client beside checks, with its requests (tests/contract/streams/test_origin_clients.py) and a worker.

Number 24 of what verification was accepted by (test_acceptance_list.py).
"""

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import httpx

from tests.contract.globals.test_shapes import RUN_KEYS
from tests.contract.streams.test_origin_clients import ask
from tests.e2e.conftest import Service
from tests.e2e.desk import put
from tests.e2e.test_acceptance_list import TESTS, program
from tests.support.deployment.processes import ServiceProcess
from tests.support.web.streams import StreamReader

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Walk:
    """What the origin's client has seen of a run: its end, the statuses on the way, and the methods of its log."""

    run: JSON
    statuses: list[str]
    methods: set[str]


async def walk(client: httpx.AsyncClient, repository: str) -> Walk:
    """Go through a conversation with the requests of the origin's desktop application, in their order."""
    get, post = (partial(ask, client, method) for method in ("GET", "POST"))
    me = await get(f"{client.base_url.join('/api/users/@me/')}")
    tasks = f"{client.base_url.join('/api/projects')}/{me['team']['id']}/tasks"

    # createTask, runTaskInCloud
    wish = {"description": "Do it.", "title": "Change it", "repository": repository, "branch": None}
    task = await post(f"{tasks}/", {**wish, "origin_product": "user_created"})
    wanted = {"mode": "interactive", "branch": "main", "pending_user_message": put("src/a", "right again")}
    started = await post(f"{tasks}/{task['id']}/run/", wanted)
    url = f"{tasks}/{task['id']}/runs/{started['latest_run']['id']}"

    # streamCloudTask of the mobile application, sendRunCommand when the agent waits, getTaskRun
    async with client.stream("GET", f"{url}/stream/", timeout=None) as answer:
        stream, statuses = StreamReader(answer), []
        while (event := await stream.next()) is not None:
            if event.data.get("type") == "task_run_state":
                statuses.append(event.data["status"])
            if event.data.get("notification", {}).get("method") == "_posthog/turn_complete":
                command = {"jsonrpc": "2.0", "method": "close", "params": {}, "id": "posthog-code-1"}
                closed = await post(f"{url}/command/", command)
                assert "error" not in closed
    run: JSON = await get(f"{url}/")

    # getTaskRunSessionLogs, presignTaskRunArtifact, getTaskSummaries
    entries = await get(f"{url}/session_logs/", limit=5000)
    for artifact in run["artifacts"]:
        await post(f"{url}/artifacts/presign/", {"storage_path": artifact["storage_path"]})
    [summary] = (await post(f"{tasks}/summaries/", {"ids": [task["id"]]}))["results"]
    assert summary["latest_run"]["status"] == run["status"]

    # resumeRunInCloud, updateTaskRun
    resumed = await post(f"{url}/resume_in_cloud/")
    assert resumed["status"] == "queued"
    await ask(client, "PATCH", f"{tasks}/{task['id']}/runs/{resumed['id']}/", {"status": "cancelled"})
    # Its agent may be closed before it has begun to wait.
    methods = {entry["notification"]["method"] for entry in entries} - {"_taskbeacon/waiting_for"}
    return Walk(run, [status for status, _ in groupby(statuses)], methods)


async def test_checked_run_is_to_the_origins_client_what_another_is(
    client: httpx.AsyncClient, service: Service, worker: ServiceProcess
) -> None:
    """It knows nothing of checks: its project has defined them for one of two repositories."""
    assert worker.is_running
    for repository in ("acme/checked", "acme/other"):
        service.repositories.create(repository, program())
    definitions = {"repository": "acme/checked", "checks": [TESTS]}
    made = await client.post(f"{client.base_url.join('../check_sets')}", json=definitions)
    assert made.status_code == 201, made.text

    checked, other = await walk(client, "acme/checked"), await walk(client, "acme/other")

    verdicts = [each.run["verification"]["verdict"] for each in (checked, other)]
    assert verdicts == ["verified", "claimed"]
    assert checked.statuses == other.statuses == ["queued", "in_progress", "completed"]
    assert checked.methods == other.methods
    own = {name: checked.run["output"][name] for name in ("head_branch", "head_sha", "verification")}
    assert checked.run["output"] == other.run["output"] | own
    names = [[artifact["name"] for artifact in each.run["artifacts"]] for each in (checked, other)]
    assert names == [["changes.patch", "tests-attempt-1-execution-1.log"], ["changes.patch"]]
    for name in RUN_KEYS - {"verification", "output", "artifacts"}:
        assert type(checked.run[name]) is type(other.run[name]), name
    assert set(checked.run["state"]) == set(other.run["state"])
