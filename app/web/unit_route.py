"""Run each request as one unit of work, committed after its response is made and before it is sent.

A route class is used, not a dependency with `yield`, which costs FastAPI 30 microseconds at each request.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import lru_cache, partial
from typing import Any, get_args, get_origin

from fastapi import Request, Response
from fastapi.params import Depends
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.datastructures import QueryParams
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import is_typeddict, override

from app.db import unit_of_work
from app.schemas.base import QueryInput
from app.web.asgi_keys import SESSION
from app.web.body import first_error
from app.web.credentials import has_credential
from app.web.dependencies import process_of
from app.web.responses import SAFE_METHODS, Json, SecretJson

# FastAPI's description of a response that a route does not describe.
_UNDESCRIBED = "Successful Response"
Gate = Callable[[Request], Awaitable[Any]]
_VERBS = {
    "GET": "retrieve",
    "POST": "create",
    "PUT": "update",
    "PATCH": "partial_update",
    "DELETE": "destroy",
}


class UnitRoute(APIRoute):
    """A route that performs each request in a unit of work. Routers use it as `route_class`.

    A unit of work is one database transaction, which is committed after the response is made and before it is sent.
    A `Response` that a function returns is sent as it is. Data is sent as JSON. None is answered with 204, without a
    body or content type (contract 2.1). The OpenAPI document describes data, and a `Json` of it, by the return type,
    and other responses by the `response_model`. No response is validated against either.
    """

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, response_model: Any = None, **options: Any
    ) -> None:
        answer = inspect.signature(endpoint, eval_str=True).return_annotation
        if get_origin(answer) in (Json, SecretJson) or is_typeddict(answer):
            response_model = next(iter(get_args(answer)), answer)
        options["operation_id"] = options["operation_id"] or _operation_id(
            path, min(options["methods"]), response_model
        )
        if answer is None:
            options["status_code"] = 204
        self._described = {"response_model": response_model or None, **options}
        self._gates = gates_of(endpoint)
        # Without gates FastAPI would answer, and encode the data in its own formats.
        assert self._gates is not None or not is_typeddict(answer)
        self._ending = path.rpartition("}")[2]
        # Requests do not need the models of responses, which take time to build.
        super().__init__(path, endpoint, response_model=None, **{**options, "responses": None})
        if self._gates is not None:
            # Without the exit stacks that FastAPI opens to resolve dependencies.
            self.app = _application(self.get_route_handler())

    def describe(self) -> APIRoute:
        """Return a copy of this route for the OpenAPI document. It has the `response_model`, and serves no requests."""
        described = dict(self._described)
        if described["response_description"] == _UNDESCRIBED and described["response_model"]:
            words = (inspect.getdoc(described["response_model"]) or "").split()
            described["response_description"] = " ".join(words)
        return APIRoute(self.path, self.endpoint, **described)

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # Routes are tried one after the other: the end of the path rules most of them out more cheaply.
        return super().matches(scope) if scope["path"].endswith(self._ending) else (Match.NONE, {})

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route's requests, which performs each request with one database session."""
        gates = self._gates
        endpoint: Callable[..., Awaitable[Any]] = self.endpoint

        async def handle_behind_gates(request: Request) -> Response:
            # FastAPI's own solver would make a read 1.11, a create 1.10, a beat 1.12 times as expensive (ADR 71).
            answer = await endpoint(**{name: await gate(request) for name, gate in (gates or {}).items()})
            if isinstance(answer, Response):
                return answer
            return Response(status_code=204) if answer is None else Json(answer, self.status_code or 200)

        handle = super().get_route_handler() if gates is None else handle_behind_gates

        async def handle_in_unit(request: Request) -> Response:
            async with unit_of_work(process_of(request).sessions) as session:
                request.scope[SESSION] = session
                response = await handle(request)
                if isinstance(response, Json) and request.method not in SAFE_METHODS:
                    # Encoded before the commit: if this fails, nothing must be committed.
                    response.encode(request.scope)
            return response

        return handle_in_unit


def _operation_id(path: str, method: str, response_model: Any) -> str:
    # Generated clients name their functions by it: tests/test_openapi.py lists all.
    inside = path.removeprefix("/api/").removeprefix("projects/{project_id}/").replace("/@me/", "/")
    words = [word.lstrip("@") for word in inside.split("/") if not word.startswith("{")]
    is_list = method == "GET" and "results" in getattr(response_model, "__annotations__", ())
    return "_".join([*words, "list" if is_list else _VERBS[method]])


def gates_of(endpoint: Callable[..., Any]) -> Mapping[str, Gate] | None:
    """Return a route's dependencies in order, those of its query last; None if it has other or nested ones."""
    gates: dict[str, Gate] = {}
    queries: dict[str, Gate] = {}
    for name, parameter in inspect.signature(endpoint, eval_str=True).parameters.items():
        parts = get_args(parameter.annotation)
        if parts and isinstance(parts[0], type) and issubclass(parts[0], QueryInput):
            queries[name] = partial(_read_query, parts[0])
            continue
        gate = next((part for part in parts if isinstance(part, Depends)), None)
        if gate is None or gate.dependency is None:
            return None
        needed = inspect.signature(gate.dependency, eval_str=True).parameters.values()
        if [part.annotation for part in needed] != [Request]:
            return None
        gates[name] = gate.dependency
    return gates | queries


def _application(handle: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handle(Request(scope, receive, send))
        await response(scope, receive, send)

    return answer


async def _read_query(model: type[QueryInput], request: Request) -> QueryInput:
    # As FastAPI does, but FastAPI takes a tenth of the time of a list for it.
    try:
        query_string = request.scope["query_string"]
        parse = parse_query.__wrapped__ if has_credential(query_string) else parse_query
        return parse(model, query_string)
    except ValidationError as error:
        raise first_error(error.errors()) from None


@lru_cache(maxsize=256)
def parse_query(model: type[QueryInput], query_string: bytes) -> QueryInput:
    # Clients send the same query with each poll.
    return model.model_validate(dict(QueryParams(query_string)))
