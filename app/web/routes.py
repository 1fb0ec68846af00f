"""Endpoints whose dependencies are put in order once, when the application is made (ADR 29).

FastAPI finds out at each request what each parameter of an endpoint depends on, which costs more than reading a task.
Here the answer is a list of steps in FastAPI's own order, each dependency once, and a request walks through it. What
an endpoint may ask for is less: `async` dependencies, the unit of work, the request, and what path, query and headers
hold. Anything else is refused when the endpoint is declared, not at its first request.
"""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined
from typing_extensions import override

from app.web.answers import SAFE_METHODS, Json
from app.web.openapi.described import DescribedRoute

__all__ = ["PlannedRoute"]

# Of one request, where FastAPI ends what lives until the answer is made.
_UNTIL_ANSWERED = "fastapi_function_astack"
_UNCHECKED = (str, str | None)
# What FastAPI offers and no endpoint here needs.
_UNPLANNED = (
    "body_params",
    "cookie_params",
    "http_connection_param_name",
    "websocket_param_name",
    "background_tasks_param_name",
    "response_param_name",
    "security_scopes_param_name",
    "concurrency",
)

# What a dependency is when the request lacks what it needs.
_UNSOLVED = object()

Errors = list[Any]


class PlannedRoute(DescribedRoute):
    """A route whose endpoint answers with a `Response` of its own; give it to a router as its `route_class`."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request.

        Raises:
            TypeError: the endpoint, or something it depends on, asks for what cannot be planned.

        """
        steps: dict[Any, _Step] = {}
        _plan(self.dependant, steps)
        *dependencies, endpoint = steps.values()
        if endpoint.is_unit:
            raise TypeError(f"{self.path}: an endpoint answers with a Response")

        async def answer(request: Request) -> Response:
            solved: list[Any] = []
            errors: Errors = []
            for step in dependencies:
                solved.append(await step.perform(request, solved, errors))
            arguments = endpoint.arguments(request, solved, errors)
            if errors:
                raise RequestValidationError(errors)
            response = await endpoint.call(**arguments)
            if not isinstance(response, Response):
                raise TypeError(f"{self.path} answered with {type(response).__name__}, which is no Response")
            if request.method not in SAFE_METHODS:
                _encode(response)
            return response

        return answer


def _encode(response: Response) -> None:
    """Encode the answer to a write before the commit: what cannot be encoded must not be kept."""
    if isinstance(response, Json):
        _ = response.body


@dataclass(frozen=True, slots=True)
class _Step:
    """A function to call, and where its arguments come from."""

    call: Callable[..., Any]
    # Whether it yields, and ends only once the answer is made.
    is_unit: bool
    # Names of arguments, with the places of earlier steps.
    earlier: tuple[tuple[str, int], ...]
    # The name of the argument that takes the request, if one does.
    request: str | None
    readers: tuple["_Reader", ...]

    async def perform(self, request: Request, solved: list[Any], errors: Errors) -> Any:
        """Return what the dependency is; what is wrong with the request is noted, to be said behind all gates."""
        before = len(errors)
        arguments = self.arguments(request, solved, errors)
        if errors and (len(errors) > before or _UNSOLVED in arguments.values()):
            return _UNSOLVED
        if not self.is_unit:
            return await self.call(**arguments)
        stack: AsyncExitStack = request.scope[_UNTIL_ANSWERED]
        return await stack.enter_async_context(self.call(**arguments))

    def arguments(self, request: Request, solved: list[Any], errors: Errors) -> dict[str, Any]:
        """Return the arguments of the call, as far as the request holds them."""
        arguments = {name: solved[place] for name, place in self.earlier}
        if self.request is not None:
            arguments[self.request] = request
        for reader in self.readers:
            reader.read(request, arguments, errors)
        return arguments


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the parameters of one place: path, query or headers."""

    place: str
    # Texts that are taken as they come: names of arguments and parameters, and what holds if they are absent.
    texts: tuple[tuple[str, str, Any], ...] = ()
    # Arguments that are a model of the whole query.
    models: tuple[tuple[str, type[BaseModel]], ...] = ()
    # What FastAPI itself is asked to check.
    checked: list[Any] = field(default_factory=list)

    def read(self, request: Request, arguments: dict[str, Any], errors: Errors) -> None:
        received = self._received(request)
        for name, alias, default in self.texts:
            arguments[name] = received.get(alias, default)
        for name, model in self.models:
            try:
                arguments[name] = model.model_validate(dict(received))
            except ValidationError as error:
                errors += [
                    {**found, "loc": (self.place, *found["loc"])} for found in error.errors(include_url=False)
                ]
        if self.checked:
            values, wrong = request_params_to_args(self.checked, received)
            arguments.update(values)
            errors += wrong

    def _received(self, request: Request) -> Mapping[str, Any]:
        match self.place:
            case "path":
                return request.path_params
            case "query":
                return request.query_params
            case _:
                return request.headers


def _plan(dependant: Dependant, steps: dict[Any, _Step]) -> int:
    """Add the steps of a dependency behind those of what it needs itself; return its place."""
    call = dependant.call
    assert call is not None
    earlier = tuple(
        (needed.name or "", place) for needed in dependant.dependencies for place in (_plan(needed, steps),)
    )
    known = list(steps)
    if call in known:
        return known.index(call)
    is_unit = isasyncgenfunction(call)
    if not is_unit and not iscoroutinefunction(call) and not iscoroutinefunction(type(call).__call__):
        raise TypeError(f"{call!r} is not async")
    if is_unit and dependant.scope != "function":
        raise TypeError(f"{call!r} would end after the answer is sent")
    if asked := [name for name in _UNPLANNED if getattr(dependant, name)]:
        raise TypeError(f"{call!r} asks for {asked[0]}")
    steps[call] = _Step(
        call=asynccontextmanager(call) if is_unit else call,
        is_unit=is_unit,
        earlier=earlier,
        request=dependant.request_param_name,
        readers=tuple(
            _reader(place, parameters)
            for place, parameters in (
                ("path", dependant.path_params),
                ("query", dependant.query_params),
                ("header", dependant.header_params),
            )
            if parameters
        ),
    )
    return len(known)


def _reader(place: str, parameters: list[Any]) -> _Reader:
    texts, models, checked = [], [], []
    for parameter in parameters:
        info = parameter.field_info
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            models.append((parameter.name, info.annotation))
        elif info.annotation in _UNCHECKED and not info.metadata and _is_always_there(place, info):
            texts.append((parameter.name, parameter.alias, info.default))
        else:
            checked.append(parameter)
    return _Reader(place, tuple(texts), tuple(models), checked)


def _is_always_there(place: str, info: Any) -> bool:
    return place == "path" or info.default is not PydanticUndefined
