"""The published description of the API, and the page that explores it without any outside request.

Adds what FastAPI cannot see: bodies and scopes are read by dependencies, so they are found there.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.web.auth import ScopeGate
from app.web.body import BodyReader

__all__ = ["install_openapi"]

_SECURITY = "personalApiKey"
_REF = "#/components/schemas/{model}"


def install_openapi(app: FastAPI) -> None:
    """Make `/openapi.json` complete."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the description


def _describe(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = document["components"]["schemas"]
    document["components"]["securitySchemes"] = {_SECURITY: {"type": "http", "scheme": "bearer"}}
    for route in app.routes:
        if not isinstance(route, APIRoute):
            continue
        for method in route.methods or ():
            operation = document["paths"][route.path][method.lower()]
            operation["responses"].pop("422", None)
            for dependency in _flatten(route.dependant):
                if isinstance(dependency.call, ScopeGate):
                    operation["security"] = [{_SECURITY: []}]
                elif isinstance(dependency.call, BodyReader):
                    schema = dependency.call.model.model_json_schema(ref_template=_REF)
                    schemas |= schema.pop("$defs", {})
                    schemas[dependency.call.model.__name__] = schema
                    reference = _REF.format(model=dependency.call.model.__name__)
                    operation["requestBody"] = {
                        "content": {"application/json": {"schema": {"$ref": reference}}}
                    }
    return document


def _flatten(dependant: Dependant) -> Iterator[Dependant]:
    for child in dependant.dependencies:
        yield child
        yield from _flatten(child)
