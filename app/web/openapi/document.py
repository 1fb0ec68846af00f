"""Build the OpenAPI document of the API, `/openapi.json`, and the page of Swagger UI, which shows it."""

import gzip
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import orjson
from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse

from app.json_types import JsonDict
from app.schemas.base import Input
from app.services.events.event_types import CATALOGUE, PING, CataloguedType
from app.web.auth import ConsoleGate, RunTokenGate, ScopeGate
from app.web.body import BodyReader
from app.web.dependencies import root_of
from app.web.idempotency import HEADER, read_key
from app.web.not_modified import IF_NONE_MATCH, read_held
from app.web.openapi import groups
from app.web.openapi.errors import errors, shared_errors
from app.web.pagination import read_limit, read_page
from app.web.responses import Json
from app.web.unit_route import UnitRoute

# Starts Swagger UI. A file of its own, because the page's policy refuses inline scripts.
EXPLORER_SCRIPT = Path(__file__).with_name("explorer.js")
_EXPLORER_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; worker-src blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# FastAPI's own validation error; this service has an envelope for every failure.
_FOREIGN_STATUS = "422"
# `CiStatus` belongs to a parameter, which repeats the whole schema.
_UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError", "CiStatus")
_REFERENCE = "#/components/schemas/{model}"
# Dependencies that read parameters themselves.
_READ_BY: dict[Callable[..., Any], tuple[str, ...]] = {
    read_page: ("limit", "offset"),
    read_limit: ("limit",),
    read_key: (HEADER,),
    read_held: (IF_NONE_MATCH,),
}
Dependency = TypeVar("Dependency")


def install_openapi(app: FastAPI) -> None:
    """Make FastAPI's `app.openapi()` return the complete OpenAPI document."""

    def openapi() -> JsonDict:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the description


@lru_cache(maxsize=4)
def encode_document(app: FastAPI, root_path: str) -> tuple[bytes, bytes, str]:
    """Return the OpenAPI document of `app` below a path: plain, compressed by gzip, and its entity tag."""
    document = app.openapi()
    if root_path:
        document = {**document, "servers": [{"url": root_path}]}
    plain = orjson.dumps(document)
    return plain, gzip.compress(plain, mtime=0), sha256(plain).hexdigest()[:32]


def render_explorer(request: Request) -> HTMLResponse:
    template = EXPLORER_SCRIPT.with_suffix(".html").read_text(encoding="utf-8")
    page = template.format(title=escape(request.app.title), root=escape(root_of(request)))
    return HTMLResponse(page, headers={"Content-Security-Policy": _EXPLORER_POLICY})


def describe_routes(app: FastAPI) -> Iterator[APIRoute]:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield route


def gate_of(route: APIRoute) -> ScopeGate | RunTokenGate | ConsoleGate | None:
    """Return the dependency that checks the credential of a route's requests, or None if they need no credential."""
    return _find(route, ScopeGate) or _find(route, RunTokenGate) or _find(route, ConsoleGate)


def reader_of(route: APIRoute) -> BodyReader[Any] | None:
    """Return the dependency that reads the JSON body of a route's requests, or None if they have no JSON body."""
    return _find(route, BodyReader)


def _find(route: APIRoute, kind: type[Dependency]) -> Dependency | None:
    return next((call for call in _calls(route.dependant) if isinstance(call, kind)), None)


def _calls(dependant: Any) -> Iterator[Any]:
    for child in dependant.dependencies:
        yield child.call
        yield from _calls(child)


def _describe(app: FastAPI) -> JsonDict:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=groups.SUMMARY,
        description=groups.DESCRIPTION,
        routes=[route.describe() if isinstance(route, UnitRoute) else route for route in app.routes],
        tags=groups.TAGS,
        servers=[{"url": "/", "description": "This server"}],
        contact=groups.CONTACT,
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    document["components"]["responses"] = shared_errors()
    schemas = document["components"]["schemas"]
    for name in _UNUSED_SCHEMAS:
        schemas.pop(name, None)
    document["components"]["securitySchemes"] = groups.SECURITY_SCHEMES
    for route in describe_routes(app):
        for method in route.methods or ():
            _complete(document["paths"][route.path_format][method.lower()], route, schemas)
    document["webhooks"] = {
        known.type.value: {"post": _webhook(known)} for known in (*CATALOGUE.values(), PING)
    }
    return document


def _webhook(known: CataloguedType) -> JsonDict:
    schema = {name: part for name, part in known.schema.items() if name != "$schema"}
    headers = (
        ("webhook-id", "Id of the event, the same for every delivery attempt."),
        ("webhook-timestamp", "Time of this delivery attempt, in seconds since 1970."),
        ("webhook-signature", "Signature of the message, `v1,…`; several while a secret is being replaced."),
    )
    return {
        "operationId": f"webhook_{known.type.replace('.', '_')}",
        "tags": ["webhooks"],
        "summary": known.type.value,
        "description": known.description,
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
            }
            for name, text in headers
        ],
        "requestBody": {
            "required": True,
            "content": {Json.media_type: {"schema": schema, "example": known.example}},
        },
        "responses": {
            "2XX": {
                "description": "The event is delivered. After any other status it is sent again later; 410 disables "
                "the endpoint."
            }
        },
    }


def _complete(operation: JsonDict, route: APIRoute, schemas: JsonDict) -> None:
    operation["responses"].pop(_FOREIGN_STATUS, None)
    _add_parameters(operation, route)
    gate, reader = gate_of(route), reader_of(route)
    implied = {str(status): answer for status, answer in errors(*_implied_errors(route)).items()}
    operation["responses"] = dict(sorted((implied | operation["responses"]).items()))
    operation["security"] = [] if gate is None else [{scheme: []} for scheme in gate.schemes]
    if isinstance(gate, ScopeGate):
        # OpenAPI 3.1 lets any scheme name the roles that an operation needs.
        operation["security"][0][gate.schemes[0]].append(str(gate.scope))
        operation["description"] += f"\n\n**Scope:** `{gate.scope}`"
    if reader is not None:
        operation["requestBody"] = _request_body(reader.model, schemas)


def _implied_errors(route: APIRoute) -> Iterator[int]:
    gate = gate_of(route)
    if isinstance(gate, RunTokenGate):
        yield from (403, 404)
    elif isinstance(gate, ConsoleGate):
        yield from (401, 429)
    elif gate is not None:
        yield from (403, 404 if gate.in_project else 401)
        if gate.is_throttled:
            yield 429
    if any(name.endswith("_id") for name in route.param_convertors):
        yield 404
    if route.dependant.query_params:
        yield 400
    if reader_of(route) is not None:
        yield from (400, 413, 415)
    if read_key in _calls(route.dependant):
        yield 409
    if isinstance(route, UnitRoute):
        yield from (500, 503)


def _add_parameters(operation: JsonDict, route: APIRoute) -> None:
    read = (name for call in _calls(route.dependant) for name in _READ_BY.get(call, ()))
    known = operation.get("parameters", [])
    for parameter in known:
        kinds = parameter["schema"].get("type")
        if isinstance(kinds, list):
            # The code has None for an absent parameter; on the wire there is no null.
            parameter["schema"]["type"] = next(kind for kind in kinds if kind != "null")
    in_path = [groups.PARAMETERS[name] for name in route.param_convertors]
    parameters = [*in_path, *known, *(groups.PARAMETERS[name] for name in read)]
    if parameters:
        operation["parameters"] = parameters


def _request_body(model: type[Input], schemas: JsonDict) -> JsonDict:
    schema = model.model_json_schema(ref_template=_REFERENCE)
    is_required = bool(schema.get("required"))
    for name, described in {model.__name__: schema, **schema.pop("$defs", {})}.items():
        # Generated clients send published defaults. In an update an absent field keeps its value, so a default would
        # overwrite fields that the caller did not name (ADR 12). If a default matters, the description names it.
        for field in described.get("properties", {}).values():
            field.pop("default", None)
        schemas[name] = described
    content = {
        "schema": {"$ref": _REFERENCE.format(model=model.__name__)},
        "examples": {
            f"example{number}": {"summary": summary, "value": value}
            for number, (summary, value) in enumerate(model.examples.items(), start=1)
        },
    }
    # An empty body is `{}` (contract 2.5), which is enough where no field is required.
    return {"required": is_required, "content": {Json.media_type: content}}
