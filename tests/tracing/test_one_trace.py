"""One trace from the request for a run to the push that tells its end, through an API and a worker."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.db import SessionFactory, unit_of_work
from tests.fixtures.worker import Repositories
from tests.support.callers import bearer
from tests.support.deployment.processes import ServiceProcess, address_of, service_process, wait_until_ready
from tests.support.devices import expo_token
from tests.support.factories import make_key, make_project, make_user
from tests.support.stand_ins.collector import Collector, Taken
from tests.support.stand_ins.push import PushService, expo_application
from tests.support.stand_ins.receiver import Receiver, receiving
from tests.support.waiting import eventually
from tests.support.web.clients import socket_client
from tests.support.web.serving import serving

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ROUTE = "POST /api/projects/{project_id}/tasks/{task_id}/run"
# The steps of a run that a worker performs, in their order.
STEPS = [
    "run.read",
    "run.prepare",
    "run.set_up",
    "run.converse",
    "run.collect",
    "run.push",
    "run.store",
    "run.publish",
    "run.finish",
]
PROMPT = "```file path=docs/greeting-file.md\nHello\n```"


class Site:
    """An API and a worker that send their spans to a collector, and a member who uses them."""

    def __init__(
        self, client: httpx.AsyncClient, processes: list[ServiceProcess], phones: PushService
    ) -> None:
        self.client = client
        self.processes = processes
        self.phones = phones

    async def perform(self, **task: Any) -> dict[str, Any]:
        """Have a run performed that a caller with a trace asks for; return it."""
        made = (await self.client.post("/tasks", json={"title": "Greet", **task})).raise_for_status().json()
        asked = await self.client.post(f"/tasks/{made['id']}/run", headers={"traceparent": CALLER})
        run: dict[str, Any] = asked.raise_for_status().json()["latest_run"]

        async def is_over() -> bool:
            nonlocal run
            run = (await self.client.get(f"/tasks/{made['id']}/runs/{run['id']}")).json()
            return run["status"] not in {"queued", "in_progress"}

        await eventually(is_over)
        return run


@pytest.fixture
async def site(
    collector: Collector, settings: Settings, sessions: SessionFactory, tmp_path: Path
) -> AsyncGenerator[Site, None]:
    async with unit_of_work(sessions) as session:
        user = await make_user(session, projects=[await make_project(session)])
        key = await make_key(session, user=user)
    repositories = Repositories(tmp_path / "repositories")
    repositories.create("acme/greetings", {"README.md": "Acme\n"})
    phones = PushService()
    async with AsyncExitStack() as stack:
        environment = {
            **collector.variables,
            "TASKBEACON_HOME": str(tmp_path / "home"),
            "TASKBEACON_GIT_BASE_URL": repositories.base_url,
            "TASKBEACON_WEBHOOK_ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8",
            "TASKBEACON_EXPO_BASE_URL": await stack.enter_async_context(serving(expo_application(phones))),
        }
        processes = [
            stack.enter_context(
                service_process(command, settings=settings, log=tmp_path / f"{number}.log", **environment)
            )
            for number, command in enumerate(("serve --port 0", "worker"))
        ]
        url = await address_of(processes[0])
        async with socket_client(
            base_url=f"{url}/api/projects/@current", headers=bearer(key), timeout=60
        ) as client:
            async with socket_client(base_url=url) as anyone:
                await wait_until_ready(anyone, processes[0])
            phone = {"token": expo_token(), "platform": "ios"}
            (await client.post(f"{url}/api/users/@me/push_tokens", json=phone)).raise_for_status()
            yield Site(client, processes, phones)


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver, None]:
    async with receiving() as receiver:
        yield receiver


async def test_one_trace_leads_from_the_request_for_a_run_to_the_push_that_tells_its_end(
    collector: Collector, site: Site, receiver: Receiver
) -> None:
    hook = {"url": receiver.url(), "event_types": ["run.completed"]}
    secret = (await site.client.post("/webhook_endpoints", json=hook)).raise_for_status().json()["secret"]

    run = await site.perform(description=PROMPT, repository="acme/greetings")

    assert run["status"] == "completed", run["error_message"]
    trace = CALLER[3:35]
    push = await collector.take("push", trace)
    webhook = await collector.take("webhook", trace)
    performed = await collector.take("run", trace)
    request, queued = await collector.take(ROUTE, trace), await collector.take("run.queued", trace)
    assert request.parent == CALLER[36:52]
    assert {each.parent for each in (queued, performed, webhook, push)} == {request.id}
    assert (request.service, performed.service) == ("taskbeacon-api", "taskbeacon-worker")
    assert {each.attributes["taskbeacon.run_id"] for each in (queued, performed, push)} == {run["id"]}
    steps = [each for each in collector.spans if each.parent == performed.id]
    assert [each.name for each in sorted(steps, key=_begun)] == STEPS
    [turn] = collector.named("run.turn", trace)
    assert turn.parent == collector.named("run.converse")[0].id
    assert not any(each.has_failed for each in collector.spans if each.trace == trace)

    # Receivers of webhooks continue the trace; push services hear nothing of it.
    [message] = receiver.messages
    assert message.headers["traceparent"][:52] == f"00-{trace}-{webhook.id}"
    assert message.is_signed_by(secret)
    assert not any("traceparent" in headers for headers in site.phones.headers)

    # Chores are traces of their own.
    chore = await collector.take("chore.start_scheduled")
    assert (chore.parent, chore.trace != trace) == ("", True)

    codes = [await process.stop() for process in site.processes]
    assert codes == [0, 0]
    key = site.client.headers["Authorization"].removeprefix("Bearer ")
    for secret_text in (key, secret, "Hello", "greeting-file", "acme/greetings", receiver.base_url):
        assert secret_text.encode() not in collector.bodies


def _begun(taken: Taken) -> int:
    return taken.span.start_time_unix_nano
