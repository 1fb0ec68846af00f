"""Endpoints are planned when the application is made: what they may ask for, and in which order it comes."""

from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import Mount, Route
from typing_extensions import override

from app.config import Settings
from app.main import create_app
from app.web.answers import Json
from app.web.error_handlers import install_error_handlers
from app.web.routes import PlannedRoute


def serving(endpoint: Callable[..., Any], path: str = "/things/{thing_id}") -> httpx.AsyncClient:
    """Return a client of an application with this one endpoint."""
    router = APIRouter(route_class=PlannedRoute)
    router.add_api_route(path, endpoint)
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def declare(endpoint: Callable[..., Any]) -> None:
    APIRouter(route_class=PlannedRoute).add_api_route("/things", endpoint)


class TestOrder:
    async def test_each_dependency_is_called_once_in_the_order_of_the_signature(self) -> None:
        called: list[str] = []

        async def root() -> str:
            called.append("root")
            return "root"

        async def first(root: Annotated[str, Depends(root)]) -> str:
            called.append("first")
            return f"first of {root}"

        async def second(root: Annotated[str, Depends(root)], first: Annotated[str, Depends(first)]) -> str:
            called.append("second")
            return f"second of {root} and {first}"

        async def endpoint(
            second: Annotated[str, Depends(second)], first: Annotated[str, Depends(first)]
        ) -> Response:
            called.append("endpoint")
            return Json([first, second])

        async with serving(endpoint, "/things") as client:
            answer = await client.get("/things")

        assert called == ["root", "first", "second", "endpoint"]
        assert answer.json() == ["first of root", "second of root and first of root"]

    async def test_unit_of_work_ends_between_the_answer_and_its_sending(self) -> None:
        happened: list[str] = []

        async def unit() -> AsyncGenerator[str, None]:
            happened.append("begin")
            yield "unit"
            happened.append("commit")

        class Noting(Json):
            @override
            async def __call__(self, *arguments: Any) -> None:
                happened.append("send")
                await super().__call__(*arguments)

        async def endpoint(unit: Annotated[str, Depends(unit, scope="function")]) -> Response:
            happened.append("answer")
            return Noting(unit)

        async with serving(endpoint, "/things") as client:
            await client.get("/things")

        assert happened == ["begin", "answer", "commit", "send"]

    async def test_unit_of_work_sees_what_the_endpoint_raises(self) -> None:
        seen: list[BaseException] = []

        async def unit() -> AsyncGenerator[None, None]:
            try:
                yield
            except ValueError as error:
                seen.append(error)
                raise

        async def endpoint(_unit: Annotated[None, Depends(unit, scope="function")]) -> Response:
            raise ValueError("no")

        async with serving(endpoint, "/things") as client:
            with pytest.raises(ValueError, match="no"):
                await client.get("/things")

        assert len(seen) == 1


class Filter(BaseModel):
    size: int = 1
    name: str | None = None


class TestParameters:
    async def test_path_query_and_headers_are_read(self) -> None:
        async def endpoint(
            request: Request,
            thing_id: str,
            query: Annotated[Filter, Query()],
            plain: str | None = None,
            number: int | None = None,
            key: Annotated[str | None, Header(alias="X-Key")] = None,
        ) -> Response:
            return Json([request.method, thing_id, query.model_dump(), plain, number, key])

        async with serving(endpoint) as client:
            bare = await client.get("/things/a%20b")
            full = await client.get("/things/1?size=2&name=n&plain=p&number=3", headers={"x-key": "k"})

        assert bare.json() == ["GET", "a b", {"size": 1, "name": None}, None, None, None]
        assert full.json() == ["GET", "1", {"size": 2, "name": "n"}, "p", 3, "k"]

    @pytest.mark.parametrize("wrong", ["size", "number"])
    async def test_what_is_wrong_with_the_query_is_said_behind_all_gates(self, wrong: str) -> None:
        passed: list[str] = []

        async def asking(query: Annotated[Filter, Query()], number: int = 0) -> str:
            passed.append("asking")
            return f"{query} {number}"

        async def needing(asking: Annotated[str, Depends(asking)]) -> str:
            passed.append("needing")
            return asking

        async def gate() -> None:
            passed.append("gate")

        async def endpoint(
            needing: Annotated[str, Depends(needing)], _gate: Annotated[None, Depends(gate)]
        ) -> Response:
            return Json(needing)

        async with serving(endpoint, "/things") as client:
            answer = await client.get(f"/things?{wrong}=many")

        assert answer.status_code == 400
        assert answer.json()["attr"] == wrong
        assert passed == ["gate"]

    async def test_missing_parameter_is_refused(self) -> None:
        async def endpoint(key: Annotated[str, Header(alias="X-Key")]) -> Response:
            return Json(key)

        async with serving(endpoint, "/things") as client:
            answer = await client.get("/things")

        assert (answer.status_code, answer.json()["code"]) == (400, "required")


class TestRefusals:
    def test_dependency_that_would_need_a_thread(self) -> None:
        def blocking() -> None: ...

        async def endpoint(_blocking: Annotated[None, Depends(blocking)]) -> Response:
            return Json(None)

        with pytest.raises(TypeError, match="is not async"):
            declare(endpoint)

    def test_unit_that_would_end_after_the_answer(self) -> None:
        async def unit() -> AsyncGenerator[None, None]:
            yield

        async def endpoint(_unit: Annotated[None, Depends(unit)]) -> Response:
            return Json(None)

        with pytest.raises(TypeError, match="after the answer"):
            declare(endpoint)

    def test_what_cannot_be_planned(self) -> None:
        async def background(tasks: BackgroundTasks) -> Response:
            return Json(str(tasks))

        async def body(item: Filter) -> Response:
            return Json(item.size)

        for endpoint in (background, body):
            with pytest.raises(TypeError, match="asks for"):
                declare(endpoint)

    def test_endpoint_that_yields(self) -> None:
        async def endpoint() -> AsyncGenerator[bytes, None]:
            yield b""

        with pytest.raises(TypeError):
            declare(endpoint)

    async def test_answer_that_is_no_response(self) -> None:
        async def endpoint() -> Any:
            return {"plain": "data"}

        async with serving(endpoint, "/things") as client:
            with pytest.raises(TypeError, match="no Response"):
                await client.get("/things")


def test_every_endpoint_is_planned_and_served_by_the_route_that_was_declared(settings: Settings) -> None:
    for route in create_app(settings).routes:
        # FastAPI makes a second one of each route of an included router, which is no route itself.
        assert isinstance(route, Route | Mount)
        if isinstance(route, APIRoute):
            assert isinstance(route, PlannedRoute), route.path
