"""Error responses have changed nothing, on every route that writes (ADR 71).

Each request below succeeds and writes. It is sent with a failure planted behind the service's function, and with one at
the commit: the client gets an error, and a second connection finds every table as it was; no job was asked for, no
event published, no push sent. Then it is sent once more, and does its work.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import literal, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.live_events.run_event_publisher import RunEvents
from app.clock import utcnow
from app.enums import RunStatus
from app.ids import new_hex_id
from app.models import Base, Event, Project, Run, Task, User
from app.runtime import ProcessContext
from app.services.accounts import integrations
from app.services.code_hosts.branch_records import BranchRecord, record_branch
from app.services.notifications.action_tokens import ActionClaims, mint
from tests.support.callers import bearer
from tests.support.database.faults import failing_answer, failing_commits
from tests.support.devices import expo_token, make_device, make_pending, make_presence
from tests.support.factories import (
    make_run,
    make_sandbox_environment,
    make_signal_report,
    make_task,
    make_user_integration,
)
from tests.support.questions import make_question
from tests.support.stand_ins.fakes import RecordingEvents, RecordingQueue
from tests.support.stand_ins.push import PushService
from tests.support.verification import make_check_set, make_verified_run
from tests.support.web.uploads import finalize_item, prepare, upload
from tests.support.webhooks import make_delivery, make_endpoint

pytestmark = pytest.mark.slow
JSON = dict[str, Any]

_TASKS = "/api/projects/{project_id}/tasks"
_TASK = _TASKS + "/{task_id}"
_RUN = _TASK + "/runs/{run_id}"
_ENVIRONMENTS = "/api/projects/{project_id}/sandbox_environments"
_SETS = "/api/projects/{project_id}/check_sets"
_ENDPOINTS = "/api/projects/{project_id}/webhook_endpoints"
_ENDPOINT = _ENDPOINTS + "/{endpoint_id}"
_QUESTION = "/api/projects/{project_id}/questions/{question_id}"
_ME = "/api/users/@me"
_KEYS = _ME + "/api_keys"
_SECRET = "a-secret-between-github-and-us"
_ITEM: JSON = {"name": "a.txt", "type": "plan"}

_EVERY_ROW = union_all(
    *(
        select(literal(table.name).label("table"), text(f"{table.name}::text AS row")).select_from(table)
        for table in Base.metadata.sorted_tables
    )
).order_by(text("1, 2"))

# What other methods than GET do without writing a row.
READ_BY_POST = {
    # A job keeps what it finds in Redis.
    f"POST {_SETS}/detect",
    f"POST {_TASKS}/summaries",
    f"POST {_RUN}/artifacts/prepare_upload",
    f"POST {_RUN}/artifacts/presign",
    f"POST {_RUN}/artifacts/download",
    f"POST {_TASK}/staged_artifacts/prepare_upload",
    # Refused whatever is sent.
    "POST /api/users/{user_id}/push_tokens",
    "POST /api/users/{user_id}/push_tokens/unregister",
}
# What is done before the answer is made, and cannot be taken back: each says it in its service.
DONE_BEFORE_THE_ANSWER = {
    # One statement that holds every condition, by itself; a beat more is a beat.
    f"POST {_TASK}/presence",
    # The log is an object that the store has by then; its row says how much of it counts.
    f"POST {_RUN}/append_log",
    f"POST {_RUN}/relay_message",
    f"POST {_RUN}/event_stream",
    # The key that signs tokens is made at the first need, for all who come later.
    f"GET {_RUN}/connection_token",
    f"GET {_RUN}/stream_token",
    # The push is on its way; its row was committed first, so that it is not sent twice.
    f"POST {_TASK}/notifications/test",
}


@dataclass(slots=True)
class Sent:
    """A request that succeeds."""

    method: str
    url: str
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Scene:
    """The rows and clients that the requests use."""

    client: httpx.AsyncClient
    session: AsyncSession
    process: ProcessContext
    project: Project
    owner: User
    task: Task
    run: Run

    async def live_run(self) -> Run:
        """A run with an agent at work."""
        until = utcnow() + timedelta(seconds=60)
        return await make_run(
            self.session,
            task=self.task,
            status=RunStatus.IN_PROGRESS,
            lease_owner="worker",
            lease_expires_at=until,
        )

    def path(self, template: str, run: Run | None = None, **more: object) -> str:
        run = run or self.run
        return template.format(project_id=self.project.id, task_id=self.task.id, run_id=run.id, **more)


Arrange = Callable[[Scene, str], Awaitable[Sent]]
REQUESTS: dict[str, Arrange] = {}


def writing(method: str, template: str) -> Callable[[Arrange], Arrange]:
    """Say how a route is asked so that it writes."""

    def note(arrange: Arrange) -> Arrange:
        REQUESTS[f"{method} {template}"] = arrange
        return arrange

    return note


def plainly(method: str, template: str, body: Any = None, **headers: str) -> None:
    """Say what a route is asked that needs no more than a task and a queued run."""

    async def arrange(scene: Scene, path: str) -> Sent:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return Sent(method, scene.path(path), body, headers=sent)

    writing(method, template)(arrange)


plainly("POST", _TASKS, {"title": "made"}, Idempotency_Key="a")
plainly("PUT", _TASK, {"title": "changed"})
plainly("DELETE", _TASK)
plainly("POST", _TASK + "/run", {"branch": "main"})
plainly("POST", _TASK + "/runs", {"branch": "main"})
plainly("PATCH", _RUN + "/set_output", {"output": {"answer": 42}})
plainly("POST", _RUN + "/start", {"pending_user_message": "go"})
plainly(
    "POST", _RUN + "/append_log", {"entries": [{"type": "notification", "notification": {"method": "a"}}]}
)
plainly("GET", _RUN + "/connection_token")
plainly("GET", _RUN + "/stream_token")
plainly("POST", _RUN + "/artifacts", {"artifacts": [{**_ITEM, "content": "a"}]})
plainly("PUT", _RUN + "/review", {"version": 0, "viewed": [{"path": "a.py", "hash": "1"}], "comments": []})
plainly("PUT", _TASK + "/mute")
plainly("POST", _TASK + "/pin", {"pinned": True})
plainly("POST", _ENVIRONMENTS, {"name": "made"})
plainly("POST", _ME + "/push_tokens", {"token": expo_token(), "platform": "ios"})
plainly("PATCH", _ME + "/notification_preferences", {"failed": False})
plainly("POST", _KEYS, {"label": "made", "scopes": ["user:read"]})


@writing("PATCH", _TASK)
async def update_signal_task(scene: Scene, path: str) -> Sent:
    scene.task = await make_task(
        scene.session,
        project=scene.project,
        created_by=scene.owner,
        origin_product="signal_report",
        signal_report_id=(await make_signal_report(scene.session, project=scene.project)).id,
    )
    return Sent("PATCH", scene.path(path), {"title": "After", "archived": True})


@writing("POST", _TASK + "/presence")
async def beat(scene: Scene, path: str) -> Sent:
    device = await make_device(scene.session, user=scene.owner)
    return Sent("POST", scene.path(path), {"device_id": str(device.id)})


@writing("DELETE", _TASK + "/presence")
async def leave(scene: Scene, path: str) -> Sent:
    device = await make_device(scene.session, user=scene.owner)
    await make_presence(scene.session, task=scene.task, device=device)
    return Sent("DELETE", scene.path(path), {"device_id": str(device.id)})


@writing("PATCH", _RUN)
async def end_run(scene: Scene, path: str) -> Sent:
    await make_device(scene.session, user=scene.owner)
    run = await scene.live_run()
    return Sent("PATCH", scene.path(path, run), {"status": "completed", "output": {"answer": 42}})


@writing("POST", _RUN + "/resume_in_cloud")
async def resume(scene: Scene, path: str) -> Sent:
    run = await make_run(scene.session, task=scene.task, status=RunStatus.COMPLETED)
    return Sent("POST", scene.path(path, run))


@writing("POST", _RUN + "/command")
async def command(scene: Scene, path: str) -> Sent:
    body = {"jsonrpc": "2.0", "method": "user_message", "params": {"content": "Go on."}}
    return Sent("POST", scene.path(path, await scene.live_run()), body)


@writing("POST", _RUN + "/cancel")
async def cancel(scene: Scene, path: str) -> Sent:
    await make_device(scene.session, user=scene.owner)
    return Sent("POST", scene.path(path, await scene.live_run()), {"reason": "enough"})


@writing("POST", _RUN + "/relay_message")
async def relay(scene: Scene, path: str) -> Sent:
    return Sent("POST", scene.path(path, await scene.live_run()), {"text": "hello"})


@writing("POST", _RUN + "/event_stream")
async def send_events(scene: Scene, path: str) -> Sent:
    token = (await scene.client.get(scene.path(_RUN + "/connection_token"))).json()["token"]
    line = json.dumps({"seq": 1, "event": {"type": "notification", "notification": {"method": "step"}}})
    headers = bearer(token) | {"Content-Type": "application/x-ndjson"}
    return Sent("POST", scene.path(path), content=line.encode() + b"\n", headers=headers)


@writing("POST", _RUN + "/artifacts/finalize_upload")
@writing("POST", _TASK + "/staged_artifacts/finalize_upload")
async def finalize(scene: Scene, path: str) -> Sent:
    url = scene.path(path)
    prepared = await prepare(scene.client, url.removesuffix("/finalize_upload"))
    assert (await upload(prepared)).status_code == 204
    return Sent("POST", url, {"artifacts": [finalize_item(prepared)]})


@writing("POST", _RUN + "/artifacts/dismiss")
async def dismiss(scene: Scene, path: str) -> Sent:
    url = scene.path(path)
    added = {"artifacts": [{**_ITEM, "content": "a"}]}
    [entry] = (await scene.client.post(url.removesuffix("/dismiss"), json=added)).json()["artifacts"]
    return Sent("POST", url, {"artifact_ids": [entry["id"]]})


@writing("PATCH", _ENVIRONMENTS + "/{environment_id}")
@writing("DELETE", _ENVIRONMENTS + "/{environment_id}")
async def change_environment(scene: Scene, path: str) -> Sent:
    made = await make_sandbox_environment(scene.session, project=scene.project, created_by=scene.owner)
    return Sent("", scene.path(path, environment_id=made.id), {"name": "changed"})


plainly("POST", _SETS, {"max_repairs": 1})


@writing("PATCH", _SETS + "/{set_id}")
@writing("DELETE", _SETS + "/{set_id}")
async def change_check_set(scene: Scene, path: str) -> Sent:
    made = await make_check_set(scene.session, project=scene.project)
    return Sent("", scene.path(path, set_id=made.id), {"max_repairs": 1})


@writing("POST", _RUN + "/verify")
@writing("POST", _RUN + "/verification/waive")
async def judge_again(scene: Scene, path: str) -> Sent:
    run = await make_verified_run(scene.session, task=scene.task, verdict="refuted")
    return Sent("POST", scene.path(path, run), {"reason": "The check is wrong."})


plainly("POST", _ENDPOINTS, {"url": "https://hooks.example.com/", "event_types": ["*"]})


@writing("PATCH", _ENDPOINT)
@writing("DELETE", _ENDPOINT)
@writing("POST", _ENDPOINT + "/rotate_secret")
@writing("POST", _ENDPOINT + "/ping")
@writing("POST", _ENDPOINT + "/enable")
async def change_endpoint(scene: Scene, path: str) -> Sent:
    endpoint, _ = await make_endpoint(
        scene.session,
        project=scene.project,
        created_by=scene.owner,
        url="https://hooks.example.com/",
        enabled=False,
        disabled_reason="user",
    )
    return Sent("", scene.path(path, endpoint_id=endpoint.id), {"description": "changed"})


@writing("POST", _ENDPOINT + "/recover")
@writing("POST", _ENDPOINT + "/deliveries/{delivery_id}/redeliver")
async def send_again(scene: Scene, path: str) -> Sent:
    endpoint, _ = await make_endpoint(
        scene.session, project=scene.project, created_by=scene.owner, url="https://hooks.example.com/"
    )
    delivery = await make_delivery(scene.session, endpoint, status="failed")
    url = scene.path(path, endpoint_id=endpoint.id, delivery_id=delivery.id)
    return Sent("", url, {"since": (utcnow() - timedelta(hours=1)).isoformat()})


@writing("POST", _ME + "/push_tokens/unregister")
@writing("DELETE", _ME + "/push_tokens/{device_id}")
async def delete_device(scene: Scene, path: str) -> Sent:
    device = await make_device(scene.session, user=scene.owner)
    return Sent("", scene.path(path, device_id=device.id), {"token": device.token})


@writing("DELETE", _KEYS + "/{key_id}")
async def revoke_key(scene: Scene, path: str) -> Sent:
    made = await scene.client.post(_KEYS, json={"label": "made", "scopes": ["user:read"]})
    return Sent("DELETE", path.format(key_id=made.json()["id"]))


@writing("DELETE", _TASK + "/mute")
async def unmute(scene: Scene, path: str) -> Sent:
    assert (await scene.client.put(scene.path(path))).status_code == 204
    return Sent("DELETE", scene.path(path))


@writing("POST", _TASK + "/notifications/test")
async def push_test(scene: Scene, path: str) -> Sent:
    await make_device(scene.session, user=scene.owner)
    return Sent("POST", scene.path(path), {})


@writing("POST", _QUESTION + "/answer")
@writing("POST", _QUESTION + "/snooze")
async def settle_question(scene: Scene, path: str) -> Sent:
    question = await make_question(scene.session, task=scene.task)
    body = {"option_id": "allow"} if path.endswith("answer") else {"seconds": 60}
    return Sent("POST", scene.path(path, question_id=question.id), body)


@writing("POST", _TASKS + "/bulk")
async def delete_tasks(scene: Scene, path: str) -> Sent:
    await make_question(scene.session, task=scene.task)
    body = {"action": "delete", "ids": [str(scene.task.id)]}
    return Sent("POST", scene.path(path), body, headers={"Idempotency-Key": "a"})


@writing("POST", "/api/projects/{project_id}/task_activity/mark_read")
async def mark_activity(scene: Scene, path: str) -> Sent:
    question = await make_question(scene.session, task=scene.task)
    seen = {"task_id": str(scene.task.id), "seen_before": question.opened_at.isoformat()}
    return Sent("POST", scene.path(path), {"activities": [seen]})


@writing("PUT", _TASK + "/follow")
async def follow_task(scene: Scene, path: str) -> Sent:
    scene.task = await make_task(scene.session, project=scene.project, created_by=None)
    return Sent("", scene.path(path))


@writing("DELETE", _TASK + "/follow")
async def unfollow_task(scene: Scene, path: str) -> Sent:
    sent = await follow_task(scene, path)
    assert (await scene.client.put(sent.url)).status_code == 204
    return sent


@writing("POST", "/api/actions/{token}")
@writing("POST", "/a/{token}")
async def act_by_token(scene: Scene, path: str) -> Sent:
    question = await make_question(scene.session, task=scene.task)
    device = await make_device(scene.session, user=scene.owner)
    sent = await make_pending(scene.session, task=scene.task, device=device, run_id=question.run_id)
    claims = ActionClaims(sent.id, question.id, question.digest, 0)
    url = path.format(token=mint(scene.process.settings.secret_keys, claims))
    if path.startswith("/api"):
        return Sent("POST", url, {})
    return Sent("POST", url, headers={"Content-Type": "application/x-www-form-urlencoded"})


# Over http the console's cookie is for loopback alone.
_LOOPBACK = "http://localhost"


@writing("POST", "/api/console/session")
async def sign_in(scene: Scene, path: str) -> Sent:
    key = scene.client.headers["Authorization"].removeprefix("Bearer ")
    return Sent("POST", _LOOPBACK + path, {"api_key": key})


@writing("DELETE", "/api/console/session")
async def sign_out(scene: Scene, path: str) -> Sent:
    sent = await sign_in(scene, path)
    signed_in = await scene.client.post(sent.url, json=sent.json)
    # As a browser, which sends no key.
    cookie = signed_in.headers["Set-Cookie"].partition(";")[0]
    scene.client.cookies.clear()
    headers = {"Authorization": "", "Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    return Sent("DELETE", sent.url, headers=headers)


@writing("DELETE", "/api/console/sessions/{session_id}")
async def end_session(scene: Scene, path: str) -> Sent:
    sent = await sign_in(scene, "/api/console/session")
    signed_in = await scene.client.post(sent.url, json=sent.json)
    return Sent("DELETE", path.format(session_id=signed_in.json()["id"]))


plainly("POST", "/api/cli/login", {"client": "laptop"})


async def begin_terminal_login(scene: Scene) -> Any:
    return (await scene.client.post("/api/cli/login", json={"client": "laptop"})).json()


@writing("POST", "/api/cli/login/{user_code}/approve")
@writing("POST", "/api/cli/login/{user_code}/deny")
async def decide_terminal_login(scene: Scene, path: str) -> Sent:
    return Sent("POST", path.format(**await begin_terminal_login(scene)), {"project_id": scene.project.id})


@writing("POST", "/api/cli/login/token")
async def fetch_key_of_terminal(scene: Scene, path: str) -> Sent:
    begun = await begin_terminal_login(scene)
    approval = f"/api/cli/login/{begun['user_code']}/approve"
    assert (await scene.client.post(approval, json={"project_id": scene.project.id})).is_success
    return Sent("POST", path, {"device_code": begun["device_code"]})


@writing("POST", "/api/webhooks/github")
async def hear_of_a_failed_check(scene: Scene, path: str) -> Sent:
    integration = await integrations.create_integration(
        scene.session,
        scene.process.cipher,
        project_id=scene.project.id,
        new=integrations.NewIntegration(kind="github", webhook_secret=_SECRET),
    )
    task = await make_task(scene.session, project=scene.project, created_by=scene.owner, ci_prompt="Mend it.")
    run = await make_run(scene.session, task=task, status=RunStatus.COMPLETED)
    pushed = BranchRecord(
        repository="acme/app",
        integration_id=integration.id,
        branch="taskbeacon/b",
        base_branch="main",
        head_sha="a" * 40,
    )
    await record_branch(scene.session, task_id=task.id, run_id=run.id, pushed=pushed)
    check = {"conclusion": "failure", "head_branch": "taskbeacon/b", "head_sha": "a" * 40, "name": "tests"}
    repository = {"full_name": "Acme/App"}
    body = json.dumps(
        {
            "action": "completed",
            "workflow_run": check | {"head_repository": repository},
            "repository": repository,
        }
    ).encode()
    signature = hmac.new(_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": "workflow_run",
        "X-GitHub-Delivery": new_hex_id(),
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    return Sent("POST", f"{path}?integration={integration.id}", content=body, headers=headers)


@pytest.fixture
def published() -> RecordingEvents:
    return RecordingEvents()


@pytest.fixture
def events(published: RecordingEvents) -> RunEvents:
    """The publisher of run events that the application uses."""
    return published


@pytest.fixture
def scene(
    client: httpx.AsyncClient,
    session: AsyncSession,
    process: ProcessContext,
    project: Project,
    owner: User,
    task: Task,
    run: Run,
) -> Scene:
    return Scene(client, session, process, project, owner, task, run)


@dataclass(slots=True)
class World:
    """Everything that a request could change."""

    engine: AsyncEngine
    queue: RecordingQueue
    published: RecordingEvents
    push_service: PushService

    async def look(self) -> dict[str, list[str]]:
        """Return every row, as a second connection sees it, and what was done outside."""
        seen: dict[str, list[str]] = {
            "jobs": [repr(job) for job in self.queue.jobs],
            "published": [repr(each) for each in self.published.published],
            "pushes": [repr(each) for each in self.push_service.received],
        }
        async with self.engine.connect() as connection:
            for row in await connection.execute(_EVERY_ROW):
                seen.setdefault(row.table, []).append(row.row)
        return seen


@pytest.fixture
def world(
    engine: AsyncEngine, queue: RecordingQueue, published: RecordingEvents, push_service: PushService
) -> World:
    return World(engine, queue, published, push_service)


def test_every_route_that_could_write_is_asked(application: FastAPI) -> None:
    could_write = {
        f"{method} {route.path}"
        for route in iter_route_contexts(application.routes)
        for method in route.methods or ()
        if method not in {"GET", "HEAD"}
    }
    asked = {name for name in REQUESTS if not name.startswith("GET")}
    assert asked | READ_BY_POST == could_write
    assert not asked & READ_BY_POST
    assert set(REQUESTS) >= DONE_BEFORE_THE_ANSWER


async def send(scene: Scene, name: str, sent: Sent) -> httpx.Response:
    return await scene.client.request(
        name.partition(" ")[0], sent.url, json=sent.json, content=sent.content, headers=sent.headers
    )


async def assert_does_its_work(scene: Scene, world: World, name: str, sent: Sent) -> None:
    """Check that the request writes, when nothing is in its way."""
    before = await world.look()
    answer = await send(scene, name, sent)
    assert not answer.is_error, answer.text
    after = await world.look()
    tables = [table.name for table in Base.metadata.sorted_tables]
    assert any(before.get(table) != after.get(table) for table in tables)
    # Who records an event moves the activity of its task (contract 3.1).
    is_left_behind = Event.occurred_at > Task.last_activity_at
    left_behind = select(Event.type).join(Task, Task.id == Event.task_id).where(is_left_behind)
    assert (await scene.session.scalars(left_behind)).all() == []


@pytest.mark.parametrize("name", REQUESTS)
async def test_failure_leaves_nothing(scene: Scene, world: World, request: Any, name: str) -> None:
    """At the commit, and between the service's function and the commit."""
    # A terminal asks for its key once a second.
    clock = request.getfixturevalue("clock") if name.endswith("/login/token") else None
    sent = await REQUESTS[name](scene, name.partition(" ")[2])
    before = await world.look()
    async with failing_commits(world.engine):
        answer = await send(scene, name, sent)
        assert answer.status_code == 500
        assert await world.look() == before

    if name in DONE_BEFORE_THE_ANSWER:
        await assert_does_its_work(scene, world, name, sent)
    _ = clock and clock.advance(seconds=1)
    with failing_answer():
        answer = await send(scene, name, sent)
    assert answer.status_code == 500
    if name not in DONE_BEFORE_THE_ANSWER:
        assert await world.look() == before
        _ = clock and clock.advance(seconds=1)
        await assert_does_its_work(scene, world, name, sent)


async def test_refused_update_keeps_nothing(scene: Scene, world: World) -> None:
    """The rule about a report's task needs the row, and is asked behind the write."""
    sent = await update_signal_task(scene, _TASK)
    own = await make_user_integration(scene.session, user=scene.owner)
    before = await world.look()

    answer = await send(
        scene, "PATCH", replace(sent, json={"title": "After", "github_user_integration": str(own.id)})
    )

    assert answer.status_code == 400
    assert await world.look() == before
