"""The HTTP client of a process: what servers cannot make it remember."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.clients.http.http_client import create_http_client
from tests.support.web.serving import serving


@pytest.mark.parametrize("attributes", ["", "; Path=/; Max-Age=3600", "; Domain=127.0.0.1; Path=/; HttpOnly"])
async def test_cookie_that_a_host_sets_is_not_sent_back(attributes: str) -> None:
    async def answer(request: Request) -> Response:
        return JSONResponse(request.headers.get("cookie"), headers={"Set-Cookie": f"run=first{attributes}"})

    application = Starlette(routes=[Route("/", answer)])
    async with serving(application) as url, create_http_client() as http:
        sent_back = [(await http.get(f"{url}/")).json() for _ in range(2)]

        assert sent_back == [None, None]
        assert list(http.cookies.jar) == []
