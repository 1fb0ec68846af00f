"""One request is one unit of work, and none of it is done in a thread."""

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.routing import APIRoute
from sqlalchemy import event, text
from starlette.routing import Mount
from typing_extensions import TypedDict, override

from app.db import SessionFactory
from app.errors import InvalidInput, NotFound
from app.main import ROUTERS
from app.routers.devices.presence import beat
from app.routers.tasks import create_task, list_tasks, retrieve_task, update_task
from app.schemas.base import QueryInput
from app.web.dependencies import session_of
from app.web.responses import Json
from app.web.unit_route import UnitRoute, gates_of, parse_query


def serving(endpoint: Callable[..., Any], sessions: SessionFactory) -> httpx.AsyncClient:
    """Return a client of an application with this one endpoint."""
    router = APIRouter(route_class=UnitRoute)
    router.add_api_route("/things", endpoint, methods=["GET", "POST"], response_model=None)
    app = FastAPI(routes=router.routes)
    app.state.process = SimpleNamespace(sessions=sessions)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def begin(request: Request, happened: list[str]) -> None:
    """Begin the transaction of a request, and note there what becomes of it."""
    session = session_of(request)
    for name, note in (("after_begin", "begin"), ("after_commit", "commit"), ("after_rollback", "roll back")):
        event.listen(session.sync_session, name, lambda *_, note=note: happened.append(note))
    await session.execute(text("SELECT 1"))


@pytest.mark.parametrize(
    ("method", "order"),
    [
        # By the time that an answer is encoded, which may take long, the connection is given back.
        ("GET", ["begin", "answer", "commit", "encode", "send"]),
        # What cannot be encoded must not be kept.
        ("POST", ["begin", "answer", "encode", "commit", "send"]),
    ],
)
async def test_unit_of_work_ends_between_the_answer_and_its_sending(
    sessions: SessionFactory, method: str, order: list[str]
) -> None:
    happened: list[str] = []

    class Id(UUID):
        @override
        def __str__(self) -> str:
            happened.append("encode")
            return super().__str__()

    async def endpoint(request: Request) -> Json:
        await begin(request, happened)
        happened.append("answer")
        return Json({"id": Id(int=1)})

    async with serving(endpoint, sessions) as client:
        response = await client.request(method, "/things")
        happened.append("send")

    assert response.json() == {"id": "00000000-0000-0000-0000-000000000001"}
    assert response.headers["content-length"] == str(len(response.content))
    assert happened == order


async def test_unit_of_work_sees_what_the_endpoint_raises(sessions: SessionFactory) -> None:
    happened: list[str] = []

    async def endpoint(request: Request) -> Json:
        await begin(request, happened)
        raise ValueError("no")

    async with serving(endpoint, sessions) as client:
        with pytest.raises(ValueError, match="no"):
            await client.get("/things")

    assert happened == ["begin"]


class Thing(TypedDict):
    name: str


async def test_data_is_answered_as_json_with_the_status_and_the_description_of_its_route(
    sessions: SessionFactory,
) -> None:
    router = APIRouter(route_class=UnitRoute)

    @router.post("/things", status_code=201)
    async def make(one: First) -> Thing:
        return {"name": one}

    app = FastAPI(routes=router.routes)
    app.state.process = SimpleNamespace(sessions=sessions)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        response = await client.post("/things?first=a")

    (route,) = router.routes
    assert isinstance(route, UnitRoute)
    assert (response.status_code, response.json()) == (201, {"name": "a"})
    assert route.describe().response_model is Thing


async def first(request: Request) -> str:
    return request.query_params["first"]


async def second(request: Request) -> str:
    if request.query_params["second"] == "refused":
        raise NotFound
    return request.query_params["second"]


First = Annotated[str, Depends(first)]
Second = Annotated[str, Depends(second)]


async def behind_gates(one: First, two: Second) -> Json:
    return Json([one, two])


async def behind_a_value(one: First, two: Second, three: Annotated[int, Query()]) -> Json:
    return Json([one, two, three])


class Wanted(QueryInput):
    number: int


async def behind_a_query(wanted: Annotated[Wanted, Query()], one: First, two: Second) -> Json:
    return Json([one, two, wanted.number])


async def test_route_asks_its_gates_as_the_framework_does(sessions: SessionFactory) -> None:
    """The route calls gates itself that take the request alone; else the framework solves the signature."""
    async with serving(behind_gates, sessions) as client:
        assert (await client.get("/things?first=a&second=b")).json() == ["a", "b"]
        # The first that refuses ends it.
        with pytest.raises(KeyError, match="first"):
            await client.get("/things?second=refused")
        with pytest.raises(NotFound):
            await client.get("/things?first=a&second=refused")
    async with serving(behind_a_value, sessions) as client:
        assert (await client.get("/things?first=a&second=b&three=3")).json() == ["a", "b", 3]
    async with serving(behind_a_query, sessions) as client:
        assert (await client.get("/things?first=a&second=b&number=3")).json() == ["a", "b", 3]
        # The query is read behind the gates.
        with pytest.raises(NotFound):
            await client.get("/things?first=a&second=refused&number=x")
        with pytest.raises(InvalidInput):
            await client.get("/things?first=a&second=b&number=x")


async def test_query_with_a_key_is_not_kept(sessions: SessionFactory) -> None:
    """Regression: keys that were sent in the query outlived their requests in a cache."""
    parse_query.cache_clear()
    async with serving(behind_a_query, sessions) as client:
        path = "/things?first=a&second=b&number=3"
        for name in ("personal_api_key", "personal%5Fapi_key"):
            assert (await client.get(f"{path}&{name}=tbk_secret")).json() == ["a", "b", 3]
            assert parse_query.cache_info().currsize == 0
        assert (await client.get(path)).json() == ["a", "b", 3]
        assert parse_query.cache_info().currsize == 1


def test_gates_of_an_endpoint_are_its_dependencies_in_order() -> None:
    assert list((gates_of(behind_gates) or {}).items()) == [("one", first), ("two", second)]
    assert gates_of(behind_a_value) is None
    assert list(gates_of(behind_a_query) or {}) == ["one", "two", "wanted"]
    # The most frequent requests ask gates alone.
    for endpoint in (create_task, list_tasks, retrieve_task, update_task, beat):
        assert gates_of(endpoint) is not None


# Routes with a parameter that FastAPI reads: a header, a single value, or a dependency with parameters of its own.
_SOLVED_BY_FASTAPI = {
    "DELETE /api/console/session",
    "GET /a/{token}",
    "GET /api/projects/{project_id}/events/stream",
    "GET /api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/artifacts/download",
    "GET /api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/logs",
    "GET /api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/session_logs",
    "GET /api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/stream",
    "GET /api/users/@me/inbox/stream",
    "POST /a/{token}",
    "POST /api/actions/{token}",
    "POST /api/cli/login",
    "POST /api/cli/login/token",
    "POST /api/console/session",
    "POST /api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/append_log",
    "POST /api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/artifacts/download",
    "POST /api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/event_stream",
    "POST /api/webhooks/github",
}


def test_all_but_the_listed_routes_ask_their_gates_themselves() -> None:
    """A parameter that is no gate makes a route slower, and nothing else shows it."""
    solved = {
        f"{min(route.methods or ())} {route.path}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, UnitRoute) and gates_of(route.endpoint) is None
    }

    assert solved == _SOLVED_BY_FASTAPI


def calls(dependant: Any) -> Iterator[object]:
    yield dependant.call
    for part in dependant.dependencies:
        yield from calls(part)


def is_async(call: object) -> bool:
    function = call if inspect.isroutine(call) else type(call).__call__
    return inspect.iscoroutinefunction(function)


def test_every_endpoint_asks_for_little_and_nothing_in_a_thread(shared_application: FastAPI) -> None:
    """FastAPI takes functions that are not `async` to a thread and back, and long to enter those that yield."""
    described = [route for route in shared_application.routes if isinstance(route, APIRoute)]
    # FastAPI makes a second one of each route of an included router, at the first request.
    assert [route for route in shared_application.routes if not isinstance(route, APIRoute | Mount)] == []
    assert len(described) > 30
    assert {call for route in described for call in calls(route.dependant) if not is_async(call)} == set()
    assert max(len(route.dependant.dependencies) for route in described) <= 5
