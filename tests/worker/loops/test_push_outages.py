"""A push service that refuses everything: it is probed, what waits loses nothing, and the log has one line a batch."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from app.clients.expo.expo_client import ExpoClient, open_http
from app.clients.pushes.push import Accepted, Deadline, NotSent, PushMessage, PushOutcome, TryLater
from app.clients.pushes.push_circuit import OPEN_AFTER
from app.clients.web_push.vapid import VapidKey
from app.clients.web_push.web_push_client import WebPushClient
from app.enums import Platform
from app.models import Notification, Task, User
from app.runtime import ProcessContext
from app.services.retrying.policies import PUSH_PROBES, PUSH_SECONDS
from app.worker.loops.pushes import deliver_due
from tests.clients.web_push.test_web_push_client import Browser
from tests.support.clock import MovableClock
from tests.support.devices import make_device, make_many_pending, make_pending, notifications_of
from tests.support.stand_ins.push import Fault, PushService, expo_application, with_push
from tests.support.web.serving import serving

# Fewer than the ten thousand that were measured: the requests do not grow with them.
WAITING = 600
AWAY = Fault(503)


@pytest.fixture
async def workers(
    process: ProcessContext, push_service: PushService
) -> AsyncGenerator[list[ProcessContext], None]:
    """Two workers, each with a client of its own."""
    async with AsyncExitStack() as opened:
        base_url = await opened.enter_async_context(serving(expo_application(push_service)))
        made = []
        for _ in range(2):
            http = await opened.enter_async_context(open_http(base_url))
            expo = ExpoClient(
                http, base_url=base_url, access_token=None, rate=None, next_probe=PUSH_PROBES.next_at
            )
            made.append(with_push(process, senders={Platform.IOS: expo, Platform.ANDROID: expo}))
        yield made


@dataclass(frozen=True, slots=True)
class Scene:
    """Two workers, the pushes of a task that they send, and the service that may be away."""

    workers: list[ProcessContext]
    session: AsyncSession
    task: Task
    owner: User
    push_service: PushService
    clock: MovableClock

    async def make_pending(self) -> None:
        """Make a push to a device of its own."""
        device = await make_device(self.session, user=self.owner)
        await make_pending(self.session, task=self.task, device=device)

    async def work(self, seconds: int) -> None:
        """Let the workers look for due pushes for some time, as their loops do each second; skip those without any."""
        end = self.clock.now + timedelta(seconds=seconds)
        while self.clock.now < end:
            for worker in self.workers:
                await deliver_due(worker)
            due_at = await self.session.scalar(select(func.min(Notification.due_at)))
            self.clock.now = min(end, max(due_at or end, self.clock.now + timedelta(seconds=1)))

    async def rows(self) -> Sequence[Notification]:
        return await notifications_of(self.workers[0].sessions, self.task)


@pytest.fixture
def scene(
    workers: list[ProcessContext],
    session: AsyncSession,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
) -> Scene:
    return Scene(workers, session, task, owner, push_service, clock)


async def test_service_that_is_away_for_ten_minutes_is_probed_and_all_is_sent_after_it(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    scene.clock.now = scene.task.created_at
    await make_many_pending(scene.session, task=scene.task, user=scene.owner, count=WAITING)
    scene.push_service.always = AWAY

    await scene.work(600)

    assert len(scene.push_service.batches) <= 60
    assert sum(row.attempts for row in await scene.rows()) == sum(scene.push_service.batches)
    scene.push_service.always = Fault()
    await scene.work(60)

    assert len(caplog.records) <= 200
    # What waits for a probe is no failure.
    assert NotSent.__name__ not in caplog.text
    ends = Counter(row.decision for row in await scene.rows())
    assert ends == {"sent": WAITING}
    assert set(Counter(scene.push_service.tokens).values()) == {1}


async def test_one_push_is_sent_within_a_minute_of_the_return(scene: Scene) -> None:
    await scene.make_pending()
    scene.push_service.always = AWAY
    await scene.work(1200)
    scene.push_service.always = Fault()

    await scene.work(60)

    [row] = await scene.rows()
    assert row.decision == "sent"


async def test_push_that_waits_for_an_hour_is_given_up(scene: Scene) -> None:
    for _ in range(3):
        await scene.make_pending()
    scene.push_service.always = AWAY
    scene.workers.pop()

    await scene.work(int(PUSH_SECONDS) + 60)

    rows = await scene.rows()
    assert {(row.decision, row.reason) for row in rows} == {("given_up", "HTTP 503")}
    # Each reason is in the history once, however long it waited.
    assert {len(row.history) for row in rows} == {2}


class Hosts(httpx.AsyncBaseTransport):
    """The push services of browsers, by host: the number of requests, and whether it is away."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.away: set[str] = set()
        self.headers: dict[str, str] = {}

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests[request.url.host] += 1
        status = 503 if request.url.host in self.away else 201
        return httpx.Response(status, headers=self.headers, stream=httpx.ByteStream(b""))


@pytest.fixture
async def hosts() -> Hosts:
    return Hosts()


@pytest.fixture
async def browsers(hosts: Hosts) -> AsyncGenerator[WebPushClient, None]:
    async with httpx.AsyncClient(transport=hosts) as http:
        key = VapidKey(VapidKey.generate())
        yield WebPushClient(
            http, key=key, subject="mailto:a@b.example", hosts=[".example"], next_probe=PUSH_PROBES.next_at
        )


def message(host: str) -> PushMessage:
    return PushMessage(Browser(f"https://{host}/send").token, "Taskbeacon", "Hello", {})


async def send(sender: WebPushClient, *hosts: str) -> list[PushOutcome]:
    return await sender.send([message(host) for host in hosts], Deadline())


async def test_push_services_of_browsers_are_probed_each_by_itself(
    browsers: WebPushClient, hosts: Hosts, clock: MovableClock
) -> None:
    hosts.away = {"a.example"}
    failed = [*await send(browsers, "a.example"), *await send(browsers, "a.example")]
    assert failed == [TryLater("HTTP 503", may_have_arrived=True)] * (OPEN_AFTER - 1)
    [last] = await send(browsers, "a.example")
    assert isinstance(last, TryLater)

    held, other = await send(browsers, "a.example", "b.example")

    assert isinstance(held, NotSent)
    assert (held.reason, other) == ("HTTP 503", Accepted())
    assert held.until == clock.now + PUSH_PROBES.shortest
    # Another message is the next probe.
    assert last.until
    assert last.until > held.until
    assert hosts.requests == {"a.example": OPEN_AFTER, "b.example": 1}
    clock.advance(seconds=5)
    outcomes = await send(browsers, *["a.example"] * 5)
    assert hosts.requests["a.example"] == OPEN_AFTER + 1
    assert Counter(type(each) for each in outcomes) == {TryLater: 1, NotSent: 4}
    hosts.away = set()
    clock.advance(seconds=5)
    await send(browsers, "a.example")
    assert await send(browsers, *["a.example"] * 5) == [Accepted()] * 5
    # A success forgets the failures before it.
    hosts.away = {"a.example"}
    assert await send(browsers, "a.example") == [TryLater("HTTP 503", may_have_arrived=True)]


async def test_probe_waits_as_long_as_the_push_service_asks(
    browsers: WebPushClient, hosts: Hosts, clock: MovableClock
) -> None:
    hosts.away, hosts.headers = {"a.example"}, {"Retry-After": "90"}
    for _ in range(OPEN_AFTER):
        await send(browsers, "a.example")

    [held] = await send(browsers, "a.example")

    assert isinstance(held, NotSent)
    assert held.until == clock.now + timedelta(seconds=90)
