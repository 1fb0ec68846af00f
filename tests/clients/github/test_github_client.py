"""The client of GitHub's REST API, over a socket: what each answer means for the caller."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from app.clients.github.github_answers import GitHubAccess, PullRequest
from app.clients.github.github_client import MAX_PARALLEL_REQUESTS, GitHubClient
from app.clients.github.github_errors import GitHubError, GitHubRefused, GitHubUnavailable
from app.services.retrying.policies import CODE_HOST
from app.services.retrying.retries import RetryBudget
from tests.support.clock import MovableClock
from tests.support.deployment.processes import closed_port
from tests.support.keys import rsa_pem
from tests.support.stand_ins.github import CodeHostService, Reply, github_application
from tests.support.stand_ins.push import trickle
from tests.support.waiting import eventually, patient
from tests.support.web.serving import serving

TOKEN = "ghp_of_the_client"
WANTED = {"title": "Title", "body": "Body", "head": "taskbeacon/tes-0", "base": "main", "draft": True}


@dataclass(frozen=True, slots=True)
class Wire:
    """The client, the host that it speaks to, and its access there."""

    client: GitHubClient
    host: CodeHostService
    access: GitHubAccess

    async def find(self) -> PullRequest | None:
        return await self.client.find_pull_request(self.access, "acme/app", "taskbeacon/tes-0")


@pytest.fixture
async def wire(tmp_path: Path, http: httpx.AsyncClient) -> AsyncGenerator[Wire, None]:
    host = CodeHostService(tmp_path, {TOKEN: "bot"})
    async with serving(github_application(host)) as url:
        yield Wire(GitHubClient(http, timeout_seconds=120), host, GitHubAccess(f"{url}/api/v3", TOKEN))


async def test_pull_request_is_opened_found_and_changed(wire: Wire) -> None:
    assert await wire.find() is None

    opened = await wire.client.create_pull_request(wire.access, "acme/app", WANTED)
    changed = await wire.client.update_pull_request(wire.access, "acme/app", opened.number, body="New")

    assert (opened.body, changed.body) == ("Body", "New")
    assert await wire.find() == changed
    assert await wire.client.find_pull_request(wire.access, "acme/app", "other") is None


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(401, message="Bad credentials"), GitHubRefused),
        (Reply(403, message="Resource not accessible by integration"), GitHubRefused),
        (Reply(404, message="Not Found"), GitHubRefused),
        (Reply(409, message="Conflict"), GitHubRefused),
        (Reply(422, message="Validation Failed"), GitHubRefused),
        (Reply(403, {"Retry-After": "7"}), GitHubUnavailable),
        (Reply(429), GitHubUnavailable),
        (Reply(500), GitHubUnavailable),
        (Reply(503), GitHubUnavailable),
    ],
)
async def test_status_decides_what_a_caller_can_do(
    wire: Wire, reply: Reply, expected: type[GitHubError]
) -> None:
    wire.host.replies.append(reply)

    with pytest.raises(GitHubError) as raised:
        await wire.find()

    assert type(raised.value) is expected
    assert raised.value.message == f"The code host answered {reply.status}: {reply.message}"


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (Reply(429, {"Retry-After": "7"}), 7.0),
        (Reply(403, {"Retry-After": "7", "X-RateLimit-Remaining": "0"}), 7.0),
        (Reply(503, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}), 3600.0),
        (Reply(503, {"Retry-After": "Sat, 01 Jan 2000 00:00:00 GMT"}), 0.0),
        (Reply(503, {"Retry-After": "soon"}), None),
        (Reply(503, {"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}), None),
        (Reply(502), None),
        (Reply(429, message="Too many"), None),
        (Reply(403, message="You have exceeded a secondary rate limit."), 60.0),
        (Reply(403, {"X-RateLimit-Remaining": "0"}), 60.0),
        (Reply(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}), 60.0),
        (Reply(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}), 0.0),
    ],
)
async def test_host_that_counts_requests_says_how_long_to_wait(
    wire: Wire, reply: Reply, seconds: float | None
) -> None:
    wire.host.replies.append(reply)

    with pytest.raises(GitHubUnavailable) as raised:
        await wire.find()

    assert raised.value.retry_after == seconds


async def test_reset_of_the_count_is_an_instant(wire: Wire, clock: MovableClock) -> None:
    reset = int(clock.now.timestamp()) + 90
    wire.host.replies.append(Reply(429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}))

    with pytest.raises(GitHubUnavailable) as raised:
        await wire.find()

    assert raised.value.retry_after == pytest.approx(90, abs=1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"number": 1}',
        b"[7]",
        b'[{"number": "x", "html_url": "http://host.test/1"}]',
        b'[{"number": 1, "html_url": "javascript:alert(1)"}]',
        b'[{"number": 1, "html_url": "http://host.test/' + b"x" * 3000 + b'"}]',
        b" " * (4 * 2**20 + 1),
    ],
)
async def test_answer_that_cannot_be_read_decides_nothing(wire: Wire, body: bytes) -> None:
    wire.host.replies.append(Reply(200, body=body))

    with pytest.raises(GitHubUnavailable, match="cannot be read"):
        await wire.find()


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"token": "x"}', b'{"token": "x", "expires_at": "tomorrow"}']
)
async def test_token_that_cannot_be_read_is_none(wire: Wire, body: bytes) -> None:
    wire.host.replies.append(Reply(201, body=body))

    with pytest.raises(GitHubUnavailable, match="cannot be read"):
        await wire.client.create_installation_token(
            wire.access.api_url, app_id="1", installation_id="2", private_key=rsa_pem()
        )


async def test_token_of_an_app_that_the_host_does_not_know_is_denied(wire: Wire) -> None:
    with pytest.raises(GitHubRefused):
        await wire.client.create_installation_token(
            wire.access.api_url, app_id="1", installation_id="2", private_key=rsa_pem()
        )


async def test_credential_does_not_follow_to_another_host(wire: Wire, tmp_path: Path) -> None:
    other = CodeHostService(tmp_path, {TOKEN: "bot"})
    async with serving(github_application(other)) as url:
        wire.host.replies.append(Reply(307, {"Location": f"{url}/api/v3/repos/acme/app/pulls?head=a:b"}))

        with pytest.raises(GitHubRefused, match="redirects"):
            await wire.find()

    assert other.requests == []


@pytest.mark.parametrize(
    "location", ["https://[", "//[zz]/", "https://xn--/", "http://a:b@127.0.0.1/x", "\u00e9"]
)
async def test_redirect_to_nowhere_is_an_error(wire: Wire, location: str) -> None:
    wire.host.replies.append(Reply(301, {"Location": location}))

    with pytest.raises(GitHubError):
        await wire.find()


async def test_repository_that_has_moved_is_followed_on_its_host(wire: Wire) -> None:
    wire.host.replies.append(Reply(301, {"Location": "/api/v3/repos/acme/moved/pulls?head=acme:b"}))

    assert await wire.find() is None
    assert [path for _, path, _ in wire.host.requests] == [
        "/api/v3/repos/acme/app/pulls",
        "/api/v3/repos/acme/moved/pulls",
    ]


async def test_host_that_redirects_in_a_circle_is_given_up(wire: Wire) -> None:
    circle = Reply(307, {"Location": "/api/v3/repos/acme/app/pulls"})
    wire.host.replies.extend([circle] * 10)

    with pytest.raises(GitHubRefused, match="redirects"):
        await wire.find()


async def test_silence_and_absence_are_reported_without_the_address(http: httpx.AsyncClient) -> None:
    silent = await asyncio.start_server(_say_nothing, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        for place, seconds in ((port, 0.2), (closed_port(), 120.0)):
            client = GitHubClient(http, timeout_seconds=seconds)
            with pytest.raises(GitHubUnavailable, match="does not answer") as raised:
                await client.find_pull_request(
                    GitHubAccess(f"http://127.0.0.1:{place}", TOKEN), "acme/app", "b"
                )
            assert TOKEN not in str(raised.value)
            assert str(place) not in str(raised.value)


async def test_answer_that_trickles_is_given_up(http: httpx.AsyncClient) -> None:
    """Regression: the time limit began again with each byte, and a run waited for as long as its code host liked."""

    async def answer(_request: Request) -> StreamingResponse:
        return StreamingResponse(trickle())

    async with (
        serving(Starlette(routes=[Route("/{path:path}", answer)])) as url,
        asyncio.timeout(patient(30)),
    ):
        client = GitHubClient(http, timeout_seconds=0.5)
        with pytest.raises(GitHubUnavailable, match="does not answer"):
            await client.find_pull_request(GitHubAccess(url, TOKEN), "acme/app", "b")


async def test_requests_at_a_time_are_bounded(tmp_path: Path) -> None:
    released = asyncio.Event()

    async def hold() -> None:
        await released.wait()

    host = CodeHostService(tmp_path, {TOKEN: "bot"}, while_clients_wait=hold)
    application = httpx.ASGITransport(github_application(host))
    async with httpx.AsyncClient(transport=application) as http, asyncio.TaskGroup() as asking:
        wire = Wire(
            GitHubClient(http, timeout_seconds=120), host, GitHubAccess("http://host.test/api/v3", TOKEN)
        )
        for _ in range(MAX_PARALLEL_REQUESTS + 5):
            asking.create_task(wire.find())
        await eventually(lambda: len(host.requests) >= MAX_PARALLEL_REQUESTS)

        assert len(host.requests) == MAX_PARALLEL_REQUESTS
        released.set()
    assert len(host.requests) == MAX_PARALLEL_REQUESTS + 5


def retries() -> RetryBudget:
    return RetryBudget(replace(CODE_HOST, delays=(0, 0)))


async def test_retries_end_with_the_budget_and_before_a_delay_that_is_too_long(wire: Wire) -> None:
    wire.host.replies.extend([Reply(500)] * 3)
    budget = retries()
    with pytest.raises(GitHubUnavailable):
        await budget.call(wire.find)
    assert len(wire.host.requests) == 3

    wire.host.replies.append(Reply(429, {"Retry-After": "3600"}))
    with pytest.raises(GitHubUnavailable):
        await retries().call(wire.find)
    assert len(wire.host.requests) == 4


async def test_what_the_host_has_decided_is_not_retried(wire: Wire) -> None:
    wire.host.replies.append(Reply(404))

    with pytest.raises(GitHubRefused):
        await retries().call(wire.find)
    assert len(wire.host.requests) == 1


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()
