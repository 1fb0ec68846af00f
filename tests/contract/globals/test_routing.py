"""Both slash forms, HEAD, OPTIONS and CORS (contract 2.1, 12)."""

import asyncio
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.serving.http_protocol import StreamingProtocol
from app.config import Settings
from app.main import create_app
from app.models import Project, Run, Task, User
from app.runtime import ProcessContext
from tests.support.assertions import assert_key_refused, assert_not_allowed, concerning
from tests.support.callers import Caller
from tests.support.factories import make_run, make_task
from tests.support.web.clients import in_process_client
from tests.support.web.routes import ROUTES
from tests.support.web.serving import serving

ORIGIN = "https://app.example.com"

pytestmark = pytest.mark.usefixtures("signing_key")


@pytest.mark.parametrize(
    ("slash", "params"), [("", {}), ("/", {}), ("/", {"x": "1"})], ids=["plain", "slash", "slash-and-query"]
)
async def test_both_slash_forms_answer_directly(
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    slash: str,
    params: dict[str, str],
) -> None:
    """A redirect would lose the Authorization header or the body (contract 2.1)."""
    for route in ROUTES:
        task = await make_task(session, project=project, created_by=owner)
        run = await make_run(session, task=task)
        url = httpx.URL(route.url(project=project.id, task=task.id, run=run.id, slash=slash))
        response = await client.request(
            route.method, url.copy_merge_params(params), json=route.body, follow_redirects=False
        )
        with concerning(route):
            assert response.status_code == route.status


@pytest.mark.parametrize("slash", ["", "/"])
async def test_head_answers_as_get_without_the_body(
    client: httpx.AsyncClient, project: Project, task: Task, run: Run, slash: str
) -> None:
    for route in (route for route in ROUTES if route.method == "GET"):
        url = route.url(project=project.id, task=task.id, run=run.id, slash=slash)
        got, asked = await client.get(url), await client.head(url)
        with concerning(route):
            assert asked.status_code == got.status_code == 200
            assert asked.content == b""
            assert asked.headers["content-type"] == "application/json"
            assert asked.headers["content-length"] == str(len(got.content))


async def test_caches_ask_again_and_browsers_guess_no_type(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, project: Project, task: Task, run: Run
) -> None:
    """A cookie may have authenticated a request (contract 2.8, 17.3); logs are words of agents."""
    urls = [
        route.url(project=project.id, task=task.id, run=run.id) for route in ROUTES if route.method == "GET"
    ]
    log = f"/api/projects/{project.id}/tasks/{task.id}/runs/{run.id}/logs"
    for caller, url in [*((client, url) for url in [*urls, log]), (anonymous, urls[0]), (client, "/nothing")]:
        headers = (await caller.get(url)).headers
        with concerning(url):
            assert headers["x-content-type-options"] == "nosniff"
            kept = (
                "no-cache" if "logs" in url else "no-store" if url.endswith("_token") else "private, no-cache"
            )
            assert headers["cache-control"] == kept
            assert headers["vary"].endswith("Authorization, Cookie")


async def test_head_of_an_error_has_its_status(anonymous: httpx.AsyncClient, tasks_url: str) -> None:
    response = await anonymous.head(tasks_url)
    assert (response.status_code, response.content) == (403, b"")


async def test_head_leaves_the_connection_to_the_next_request(
    application: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that waits for the announced body calls its absence an error and hangs up."""
    async with serving(application, StreamingProtocol) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(
            b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answers = await reader.read()
        writer.close()

    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.endswith((await in_process_client(application).get("/livez")).content)
    assert "http.unexpected_error" not in caplog.text


@pytest.mark.walls
@pytest.mark.parametrize("suffix", ["", "/"])
async def test_options_names_the_methods(
    anonymous: httpx.AsyncClient, project: Project, task: Task, run: Run, suffix: str
) -> None:
    """Browsers ask without a credential."""
    for route in ROUTES:
        url = route.url(project=project.id, task=task.id, run=run.id) + suffix
        response = await anonymous.options(url)
        with concerning(route):
            assert response.status_code == 200
            allowed = {name.strip() for name in response.headers["allow"].split(",")}
            assert {route.method, "OPTIONS"} <= allowed
            assert ("HEAD" in allowed) == ("GET" in allowed)


@pytest.mark.walls
@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        *((name, "GET, HEAD, OPTIONS") for name in ("models", "repositories", "pinned", "search")),
        *((name, "OPTIONS, POST") for name in ("summaries", "bulk")),
    ],
)
@pytest.mark.parametrize("suffix", ["", "/"])
async def test_paths_beside_tasks_are_no_tasks(
    client: httpx.AsyncClient, tasks_url: str, name: str, allowed: str, suffix: str
) -> None:
    """Other paths were answered as tasks that do not exist, and advertised the methods of a task."""
    url = f"{tasks_url}/{name}{suffix}"
    assert (await client.options(url)).headers["allow"] == allowed
    for method in ("PUT", "PATCH", "DELETE"):
        response = await client.request(method, url, json={})
        assert_not_allowed(response, method)
        assert response.headers["allow"] == allowed
    assert (await client.get(f"{tasks_url}/{name}/runs")).status_code == 404


async def test_put_and_delete_take_a_body(client: httpx.AsyncClient, task_url: str) -> None:
    """Contract 12.7."""
    changed = await client.put(task_url, json={"title": "by put"})
    assert changed.json()["title"] == "by put"
    deleted = await client.request("DELETE", task_url, json={"reason": "ignored"})
    assert deleted.status_code == 204


@pytest.fixture(scope="module")
def cross_origin_application(settings: Settings) -> FastAPI:
    """The application that allows the origin, once: it takes longer to build than most tests to run."""
    return create_app(settings.model_copy(update={"cors_origins": (ORIGIN,)}))


class TestCors:
    @pytest.fixture
    def browser(
        self, cross_origin_application: FastAPI, process: ProcessContext, caller: Caller
    ) -> httpx.AsyncClient:
        cross_origin_application.state.process = process
        return in_process_client(cross_origin_application, headers=caller.headers | {"Origin": ORIGIN})

    async def test_preflight_allows_methods_and_the_key(
        self, browser: httpx.AsyncClient, tasks_url: str
    ) -> None:
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
            headers = {
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization, content-type",
            }
            response = await browser.options(f"{tasks_url}/", headers=headers)
            with concerning(method):
                assert response.status_code == 200
                assert response.headers["access-control-allow-origin"] == ORIGIN
                assert method in response.headers["access-control-allow-methods"]
                assert "authorization" in response.headers["access-control-allow-headers"].lower()

    async def test_headers_that_clients_need_may_be_read_by_the_origin(
        self, browser: httpx.AsyncClient, tasks_url: str
    ) -> None:
        """A page of a log says only in its headers whether it was the last (contract 6.4)."""
        task = (await browser.post(tasks_url, json={})).json()["id"]
        run = (await browser.post(f"{tasks_url}/{task}/runs")).json()["id"]
        response = await browser.get(f"{tasks_url}/{task}/runs/{run}/session_logs")
        exposed = {
            name.strip().lower() for name in response.headers["access-control-expose-headers"].split(",")
        }
        sent = {name for name in response.headers if name.startswith("x-") or name == "server-timing"}
        # For the browser itself.
        sent.discard("x-content-type-options")
        assert {"x-total-count", "x-filtered-count", "x-matching-count", "x-has-more"} <= sent
        assert sent | {"idempotent-replayed", "retry-after", "content-disposition"} <= exposed

    async def test_errors_may_be_read_by_the_origin(self, browser: httpx.AsyncClient, tasks_url: str) -> None:
        """A page that cannot read the envelope could not refresh its token."""
        response = await browser.get(tasks_url, headers={"Authorization": "Bearer phx_wrong"})
        assert_key_refused(response, 403)
        assert response.headers["access-control-allow-origin"] == ORIGIN

    async def test_answers_may_be_read_by_this_origin_only(
        self, browser: httpx.AsyncClient, tasks_url: str
    ) -> None:
        response = await browser.get(tasks_url)
        assert response.headers["access-control-allow-origin"] == ORIGIN
        response = await browser.get(tasks_url, headers={"Origin": "https://evil.example.com"})
        assert "access-control-allow-origin" not in response.headers

    async def test_no_origin_is_allowed_by_default(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        response = await client.get(tasks_url, headers={"Origin": ORIGIN})
        assert "access-control-allow-origin" not in response.headers
