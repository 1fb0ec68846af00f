"""Endpoints whose answers are described without being checked.

An endpoint encodes its answer itself (`answers.py`), so FastAPI needs no model of it to serve. It would build a
validator for each body of each endpoint all the same, when the endpoint is declared and again at the first request:
hundreds of them, which took a third of the start of a process and a second of its first request. Here they are built
for those who ask for the description.
"""

from collections.abc import Callable
from typing import Any

from fastapi.datastructures import Default
from fastapi.routing import APIRoute, RouteContext

__all__ = ["DescribedRoute", "describing_route"]

# What FastAPI takes for: as the annotation of the endpoint says.
_INFERRED = Default(None)


class DescribedRoute(APIRoute):
    """A route that keeps the models of its answers for the description; every route is one (`routes.py`)."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        response_model: Any = _INFERRED,
        responses: dict[int | str, dict[str, Any]] | None = None,
        **options: Any,  # what every route takes
    ) -> None:
        super().__init__(path, endpoint, response_model=None, **options)
        self.described_model = response_model
        self.described_responses = responses


def describing_route(route: RouteContext) -> APIRoute:
    """Return a route that is described as this one is served, with the models of its answers; it serves nothing."""
    original = route.original_route
    assert isinstance(original, DescribedRoute), f"{route.path} is no DescribedRoute"
    return APIRoute(
        route.path or "",
        original.endpoint,
        response_model=original.described_model,
        responses=original.described_responses,
        name=route.name,
        methods=route.methods,
        status_code=route.status_code,
        tags=route.tags,
        summary=route.summary,
        description=route.description,
        response_description=route.response_description,
        response_class=route.response_class,
        operation_id=route.operation_id,
        deprecated=route.deprecated,
        openapi_extra=route.openapi_extra,
    )
