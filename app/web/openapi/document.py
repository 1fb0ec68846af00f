"""Build the OpenAPI document of the API, `/openapi.json`.

This adds bodies and scopes, which FastAPI cannot see because dependencies read them. Texts come from `groups`, errors
from `errors`, examples from `examples` and from the fields of the schemas.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter

from app.services.events.catalogue import CATALOGUE, PING, CataloguedType
from app.web.auth import ConsoleGate, RunTokenGate, ScopeGate
from app.web.body import BodyReader
from app.web.idempotency import HEADER, read_key
from app.web.openapi import groups
from app.web.openapi.errors import BODIES_OF_ERRORS, REFERENCE, Gate, examples_of_errors
from app.web.openapi.examples import ANSWERS, BODIES
from app.web.pagination import read_limit, read_page
from app.web.responses import Json
from app.web.unit_route import UnitRoute

# FastAPI's own validation error; this service has an envelope for every failure.
_FOREIGN_STATUS = "422"
_FOREIGN_SCHEMAS = ("HTTPValidationError", "ValidationError")
_FIRST_ERROR_STATUS = 400
# Dependencies that read parameters themselves.
_READ_BY: dict[Callable[..., Any], tuple[str, ...]] = {
    read_page: ("limit", "offset"),
    read_limit: ("limit",),
    read_key: (HEADER,),
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before the next request.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
# Examples for fields without an example.
_SAMPLES = {
    "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
    "date-time": "2026-03-01T10:00:00.123456Z",
    "uri": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
    "string": "text",
    "integer": 1,
    "number": 12.5,
    "boolean": True,
    "null": None,
}

Dependency = TypeVar("Dependency")


def install_openapi(app: FastAPI) -> None:
    """Make FastAPI's `app.openapi()` return the complete OpenAPI document.

    The document is built at the first call and then kept.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the description


def describe_routes(app: FastAPI) -> Iterator[APIRoute]:
    """Yield the routes of the application that the OpenAPI document describes."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield route


def gate_of(route: APIRoute) -> Gate | None:
    """Return the dependency that checks the credential of a route's requests, or None if they need no credential."""
    return _find(route, ScopeGate) or _find(route, RunTokenGate) or _find(route, ConsoleGate)


def reader_of(route: APIRoute) -> BodyReader | None:
    """Return the dependency that reads the JSON body of a route's requests, or None if they have no JSON body."""
    return _find(route, BodyReader)


def _find(route: APIRoute, kind: type[Dependency]) -> Dependency | None:
    return next((call for call in _calls(route.dependant) if isinstance(call, kind)), None)


def _calls(dependant: Any) -> Iterator[Any]:
    for child in dependant.dependencies:
        yield child.call
        yield from _calls(child)


def _describe(app: FastAPI) -> dict[str, Any]:
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
    schemas = document["components"]["schemas"]
    for name in _FOREIGN_SCHEMAS:
        schemas.pop(name, None)
    for body in BODIES_OF_ERRORS:
        _add_schema(body.__name__, TypeAdapter(body).json_schema(ref_template=REFERENCE), schemas)
    document["components"]["securitySchemes"] = {
        groups.SECURITY_SCHEME_NAME: groups.SECURITY_SCHEME,
        groups.RUN_SCHEME_NAME: groups.RUN_SCHEME,
        groups.CONSOLE_SCHEME_NAME: groups.CONSOLE_SCHEME,
    }
    for route in describe_routes(app):
        for method in route.methods or ():
            _complete(document["paths"][route.path_format][method.lower()], route, schemas)
    document["webhooks"] = {
        known.type.value: {"post": _webhook(known)} for known in (*CATALOGUE.values(), PING)
    }
    return document


def _webhook(known: CataloguedType) -> dict[str, Any]:
    """Return the OpenAPI operation of the request that sends an event to a webhook endpoint."""
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
                "description": "The event is delivered. After any other status it is sent again later; 410 disables the endpoint."
            }
        },
    }


def _complete(operation: dict[str, Any], route: APIRoute, schemas: dict[str, Any]) -> None:
    operation["responses"].pop(_FOREIGN_STATUS, None)
    _add_parameters(operation, route)
    gate, reader = gate_of(route), reader_of(route)
    if gate is None:
        operation["security"] = []
    elif isinstance(gate, RunTokenGate):
        operation["security"] = [{groups.RUN_SCHEME_NAME: []}]
    elif isinstance(gate, ConsoleGate):
        operation["security"] = [{groups.CONSOLE_SCHEME_NAME: []}]
    else:
        # OpenAPI 3.1 lets any scheme name the roles that an operation needs.
        operation["security"] = [{groups.SECURITY_SCHEME_NAME: [str(gate.scope)]}]
        operation["description"] += f"\n\n**Scope:** `{gate.scope}`"
    if reader is not None:
        operation["requestBody"] = _request_body(reader.model, schemas)
    _complete_answers(operation, route, schemas)


def _complete_answers(operation: dict[str, Any], route: APIRoute, schemas: dict[str, Any]) -> None:
    gate, reader = gate_of(route), reader_of(route)
    model = reader.model if reader else _query_model(route)
    for status, response in operation["responses"].items():
        shown: Mapping[str, Any] = {}
        if int(status) >= _FIRST_ERROR_STATUS:
            shown = examples_of_errors(
                operation["operationId"], gate, model, int(status), has_body=reader is not None
            )
        for media_type, content in response.get("content", {}).items():
            # A file has no example.
            if int(status) < _FIRST_ERROR_STATUS and media_type != "*/*":
                answer = ANSWERS.get(operation["operationId"])
                content["example"] = _sample(content["schema"], schemas) if answer is None else answer
            if shown:
                content["examples"] = _name_examples(shown)
            if "anyOf" in content["schema"]:
                # FastAPI's own words, by which generated clients name the type.
                words = operation["operationId"].replace("_", " ").title()
                content["schema"] = {**content["schema"], "title": f"Response {status} {words}"}
        if status == "429":
            response["headers"] = _RETRY_AFTER


def _query_model(route: APIRoute) -> type[BaseModel] | None:
    kinds = (parameter.field_info.annotation for parameter in route.dependant.query_params)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _add_parameters(operation: dict[str, Any], route: APIRoute) -> None:
    """Add to an operation the parameters of its path, and those that FastAPI does not know."""
    read = (name for call in _calls(route.dependant) for name in _READ_BY.get(call, ()))
    known = operation.get("parameters", [])
    for parameter in known:
        kinds = parameter["schema"].get("type")
        if isinstance(kinds, list):
            # A parameter that is not given is null to the service; on the wire it is absent.
            parameter["schema"]["type"] = next(kind for kind in kinds if kind != "null")
    in_path = [groups.PARAMETERS[name] for name in route.param_convertors]
    parameters = [*in_path, *known, *(groups.PARAMETERS[name] for name in read)]
    if parameters:
        operation["parameters"] = parameters


def _request_body(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=REFERENCE)
    is_required = bool(schema.get("required"))
    _add_schema(model.__name__, schema, schemas, has_defaults=False)
    content = {
        "schema": {"$ref": REFERENCE.format(model=model.__name__)},
        "examples": _name_examples(BODIES[model]),
    }
    # An empty body is `{}` (contract 2.5), which is enough where no field is required.
    return {"required": is_required, "content": {Json.media_type: content}}


def _add_schema(
    name: str, schema: dict[str, Any], schemas: dict[str, Any], *, has_defaults: bool = True
) -> None:
    """Add to the document a schema and those it refers to; schemas of bodies have no field defaults.

    Generated clients send published defaults. In an update an absent field keeps its value, so a default
    would overwrite fields that the caller did not name (ADR 50). If a default matters, the field's
    description names it.
    """
    for each, described in {name: schema, **schema.pop("$defs", {})}.items():
        for field in () if has_defaults else described.get("properties", {}).values():
            field.pop("default", None)
        schemas[each] = described


def _sample(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Return an example value for a JSON Schema, made of the examples of its fields."""
    match schema:
        case {"examples": [example, *_]} | {"const": example} | {"enum": [example, *_]}:
            return example
        case {"$ref": str(reference)}:
            return _sample(schemas[reference.rpartition("/")[2]], schemas)
        case {"anyOf": [first, *_]}:
            return _sample({"format": schema.get("format", ""), **first}, schemas)
        case {"type": "object"}:
            return {name: _sample(field, schemas) for name, field in schema.get("properties", {}).items()}
        case {"items": items}:
            return [_sample(items, schemas)]
        case _:
            return _SAMPLES.get(schema.get("format", ""), _SAMPLES.get(schema.get("type", "null")))


def _name_examples(examples: Any) -> dict[str, Any]:
    """Return examples in OpenAPI's form: by an identifier, each with its summary."""
    return {
        f"example{number}": {"summary": summary, "value": value}
        for number, (summary, value) in enumerate(examples.items(), start=1)
    }
