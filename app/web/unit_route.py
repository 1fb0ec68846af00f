"""One request is one unit of work, which is committed after the answer is made and before it is sent.

A route class is used, not a dependency with `yield`, which costs FastAPI 30 microseconds at each request.
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

    Its `response_model` is only for the description. Answers are not validated, so FastAPI does not see the model
    before `describe`: building the validators of all routes took a tenth of the start.
    """

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, response_model: Any = None, **options: Any
    ) -> None:
        super().__init__(path, endpoint, response_model=None, **options)
        self._described = {"response_model": response_model or None, **options}

    def describe(self) -> APIRoute:
        """Return a copy of this route for the description only; it serves no request."""
        return APIRoute(self.path, self.endpoint, **self._described)

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of requests: FastAPI's own handler, within a unit of work."""
        handle = super().get_route_handler()

        async def handle_in_unit(request: Request) -> Response:
            async with unit_of_work(process_of(request).sessions) as session:
                request.state.session = session
                response = await handle(request)
                if isinstance(response, Json) and request.method not in SAFE_METHODS:
                    # If the answer cannot be encoded, nothing must be committed.
                    _ = response.body
            return response

        return handle_in_unit
