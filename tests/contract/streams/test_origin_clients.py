"""The requests of PostHog's own clients in the order of use, as their sources send them (docs/clients.md).

The comments name the methods of `PostHogAPIClient` in PostHog/code: that of the desktop application is in
`packages/api-client`, that of the package for agents in `packages/agent`. Requests change here when they change there.
"""

from functools import partial
from typing import Any

import httpx
import orjson

from app.db import SessionFactory, unit_of_work
from app.services.runs import run_lifecycle
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.web.clients import socket_client
from tests.support.web.streams import StreamReader
from tests.support.web.uploads import upload

JSON = dict[str, Any]
FILE = {"name": "notes.txt", "type": "user_attachment", "size": 5, "content_type": "text/plain"}
_FINALIZED = ("id", "name", "type", "source", "content_type", "metadata", "storage_path")
_ENTRY = {
    "type": "notification",
    "timestamp": "2026-03-01T10:00:00.000Z",
    "notification": {"jsonrpc": "2.0", "method": "_posthog/console", "params": {"message": "Hello"}},
}


async def ask(api: httpx.AsyncClient, method: str, path: str, body: Any = None, **query: Any) -> Any:
    """Send a request; return the JSON of its answer, which must be of the range that `fetch` calls ok."""
    content = None if body is None else orjson.dumps(body)
    headers = {"Content-Type": "application/json"}
    answer = await api.request(method, path, params=query, headers=headers, content=content)
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


async def send_file(api: httpx.AsyncClient, url: str) -> JSON:
    [prepared] = (await ask(api, "POST", f"{url}/prepare_upload/", {"artifacts": [FILE]}))["artifacts"]
    assert (await upload(prepared)).is_success
    # What JavaScript has not is left out of JSON.
    item = {name: prepared[name] for name in _FINALIZED if name in prepared}
    [finalized] = (await ask(api, "POST", f"{url}/finalize_upload/", {"artifacts": [item]}))["artifacts"]
    assert finalized["id"] == prepared["id"]
    return dict(finalized)


async def test_desktop_application_walks_through_a_cloud_run(
    api: httpx.AsyncClient, sessions: SessionFactory
) -> None:
    get, post, patch = (partial(ask, api, method) for method in ("GET", "POST", "PATCH"))
    tasks = f"/api/projects/{(await get('/api/users/@me/'))['team']['id']}/tasks"

    # createTask, getTasks, getTask, updateTask, getTaskSummaries
    wish = {"description": "Say hello.", "title": "Hello", "repository": "acme/shop", "branch": None}
    task = await post(f"{tasks}/", {**wish, "origin_product": "user_created"})
    url = f"{tasks}/{task['id']}"
    listed = (await get(f"{tasks}/", limit=500, created_by=task["created_by"]["id"]))["results"]
    assert [each["id"] for each in listed] == [task["id"]]
    assert (await patch(f"{url}/", {"title": "Hello again"}))["title"] == "Hello again"
    assert (await get(f"{url}/"))["latest_run"] is None

    # prepareTaskStagedArtifactUploads, finalizeTaskStagedArtifactUploads, runTaskInCloud
    staged = await send_file(api, f"{url}/staged_artifacts")
    wanted = {"mode": "interactive", "branch": "main", "pending_user_message": "Go."}
    started = await post(f"{url}/run/", {**wanted, "pending_user_artifact_ids": [staged["id"]]})
    run_url = f"{url}/runs/{started['latest_run']['id']}"
    [summary] = (await post(f"{tasks}/summaries/", {"ids": [task["id"]]}))["results"]
    assert summary["latest_run"]["status"] == "queued"

    # listTaskRuns, getTaskRun
    [run] = (await get(f"{url}/runs/"))["results"]
    assert run == await get(f"{run_url}/")
    assert (run["status"], run["branch"], run["artifacts"][0]["id"]) == ("queued", "main", staged["id"])

    # streamCloudTask of the mobile application, sendRunCommand
    accepts = {"Accept": "text/event-stream"}
    async with api.stream("GET", f"{run_url}/stream/", headers=accepts, timeout=None) as answer:
        stream = StreamReader(answer)
        await stream.take(1)
        async with unit_of_work(sessions) as session:
            claimed = await run_lifecycle.claim(session, owner="worker", events=RecordingEvents())
        assert claimed is not None
        command = {"jsonrpc": "2.0", "method": "user_message", "params": {"content": "And?"}}
        queued = await post(f"{run_url}/command/", {**command, "id": "posthog-code-1772359200000"})
        assert queued == {"jsonrpc": "2.0", "result": {"queued": True}, "id": "posthog-code-1772359200000"}

        # prepareTaskRunArtifactUploads, finalizeTaskRunArtifactUploads, presignTaskRunArtifact, updateTaskRun
        added = await send_file(api, f"{run_url}/artifacts")
        signed = await post(f"{run_url}/artifacts/presign/", {"storage_path": added["storage_path"]})
        async with socket_client() as storage:
            assert (await storage.get(signed["url"])).content == b"hello"
        await patch(f"{run_url}/", {"status": "completed", "output": {"pr_url": "https://example.com/1"}})
        events = [event.data for event in await stream.rest()]
    assert events[-1]["status"] == "completed"
    assert stream.last_id is not None
    resuming = accepts | {"Last-Event-ID": stream.last_id}
    async with api.stream("GET", f"{run_url}/stream/", headers=resuming, timeout=None) as answer:
        again = StreamReader(answer)
        # Whoever comes after the end learns it.
        assert [event.data["status"] for event in await again.rest()] == ["completed"]
    assert stream.is_complete
    assert again.is_complete

    # resumeRunInCloud
    assert (await post(f"{run_url}/resume_in_cloud/"))["status"] == "queued"


async def test_desktop_application_performs_a_run_itself(api: httpx.AsyncClient, task_url: str) -> None:
    get, post = (partial(ask, api, method) for method in ("GET", "POST"))

    # createTaskRun, appendTaskRunLog, getTaskRunSessionLogs, getTaskLogs
    local = await post(f"{task_url}/runs/", {"mode": "background", "environment": "local"})
    url = f"{task_url}/runs/{local['id']}"
    await post(f"{url}/append_log/", {"entries": [_ENTRY]})
    page = await api.get(f"{url}/session_logs/", params={"limit": 5000})
    assert (page.json(), page.headers["X-Has-More"]) == ([_ENTRY], "false")
    log_url = (await get(f"{task_url}/"))["latest_run"]["log_url"]
    async with socket_client() as storage:
        assert [orjson.loads(line) for line in (await storage.get(log_url)).text.splitlines()] == [_ENTRY]

    # createTaskRun, startTaskRun, deleteTask
    cloud = await post(f"{task_url}/runs/", {"mode": "interactive", "environment": "cloud"})
    started = await post(f"{task_url}/runs/{cloud['id']}/start/", {})
    assert (started["latest_run"]["id"], started["latest_run"]["status"]) == (cloud["id"], "queued")
    await ask(api, "DELETE", f"{task_url}/")
    assert (await api.get(f"{task_url}/")).status_code == 404


async def test_client_of_the_package_for_agents_walks_through_a_run(
    api: httpx.AsyncClient, task_url: str, url: str, run: JSON
) -> None:
    get, post, patch = (partial(ask, api, method) for method in ("GET", "POST", "PATCH"))

    # getTask, getTaskRun, updateTaskRun
    assert (await get(f"{task_url}/"))["latest_run"]["id"] == run["id"]
    assert (await get(f"{url}/"))["status"] == "queued"
    change = {"status": "in_progress", "branch": "posthog/hello", "state": {"phase": "edit"}}
    changed = await patch(f"{url}/", change)
    assert (changed["status"], changed["branch"]) == ("in_progress", "posthog/hello")
    assert changed["state"]["phase"] == "edit"

    # appendTaskRunLog, relayMessage, fetchTaskRunLogs
    assert (await post(f"{url}/append_log/", {"entries": [_ENTRY]}))["id"] == run["id"]
    assert (await post(f"{url}/relay_message/", {"text": "Done."}))["status"] in {"accepted", "skipped"}
    answer = await api.get(f"{url}/logs", headers={"Content-Type": "application/json"})
    first, *_ = [orjson.loads(line) for line in answer.text.strip().split("\n")]
    assert first == _ENTRY

    # uploadTaskArtifacts, getArtifactPresignedUrl, downloadArtifact
    file = {"name": "report.md", "type": "output", "content": "# Done", "content_type": "text/markdown"}
    [stored] = (await post(f"{url}/artifacts/", {"artifacts": [file]}))["artifacts"]
    signed = await post(f"{url}/artifacts/presign/", {"storage_path": stored["storage_path"]})
    async with socket_client() as storage:
        assert (await storage.get(signed["url"])).text == "# Done"
    unknown = await api.post(f"{url}/artifacts/presign/", json={"storage_path": "nothing"})
    # The client takes every failure for "there is none".
    assert unknown.status_code == 404
