"""One request is one unit of work: it is committed after the answer is made and before it is sent.

A route class and not a dependency that yields: FastAPI takes 30 microseconds to enter one of those, at each request.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from typing_extensions import override

from app.db import unit_of_work
from app.web.answers import SAFE_METHODS, Json
from app.web.dependencies import process_of


class UnitRoute(APIRoute):
    """A route with a session for each request, `session_of(request)`; give it to a router as its `route_class`.

    Its `response_model` belongs to the description. No answer is validated, so FastAPI does not see it before `describe`:
    the validators of all routes took a tenth of the start.
    """

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, response_model: Any = None, **options: Any
    ) -> None:
        super().__init__(path, endpoint, response_model=None, **options)
        self._described = {"response_model": response_model or None, **options}

    def describe(self) -> APIRoute:
        """Return a route that is described as this one, to serve no request."""
        return APIRoute(self.path, self.endpoint, **self._described)

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request: FastAPI's own handler, within a unit of work."""
        handle = super().get_route_handler()

        async def handle_in_unit(request: Request) -> Response:
            async with unit_of_work(process_of(request).sessions) as session:
                request.state.session = session
                response = await handle(request)
                if isinstance(response, Json) and request.method not in SAFE_METHODS:
                    # What cannot be encoded must not be kept.
                    _ = response.body
            return response

        return handle_in_unit
