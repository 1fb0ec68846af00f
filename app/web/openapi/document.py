"""The published description of the API, `/openapi.json`.

Adds what FastAPI cannot see. Bodies and scopes are read by dependencies, so they are found there; words and examples
come from `documentation` and `examples`, errors from `error_examples`.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic import BaseModel

from app.web.auth import RunTokenGate, ScopeGate
from app.web.body import BodyReader
from app.web.openapi import groups as documentation
from app.web.openapi.described import describing_route
from app.web.openapi.error_examples import error_examples, public_error_examples
from app.web.openapi.examples import EXAMPLES, OperationExamples, on_the_wire

__all__ = ["describe_routes", "gate_of", "install_openapi", "reader_of"]

_SCHEMA_REFERENCE = "#/components/schemas/{model}"
# FastAPI's own validation error; this service has an envelope for every failure.
_FOREIGN_STATUS = "422"
_FOREIGN_SCHEMAS = ("HTTPValidationError", "ValidationError")
_FIRST_ERROR_STATUS = 400
_TOO_MANY_REQUESTS = "429"
_MEDIA_TYPE = "application/json"


def install_openapi(app: FastAPI) -> None:
    """Make `/openapi.json` complete; it is made at the first request for it and kept."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the description


def describe_routes(app: FastAPI) -> Iterator[RouteContext]:
    """Yield the described endpoints as they are served, those of included routers too."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute) and route.include_in_schema:
            yield route


def gate_of(route: RouteContext) -> ScopeGate | RunTokenGate | None:
    """Return the gate in the signature of an endpoint, None for one that answers without a credential."""
    gates = (dependency.call for dependency in _flatten(route.dependant))
    return next((gate for gate in gates if isinstance(gate, ScopeGate | RunTokenGate)), None)


def reader_of(route: RouteContext) -> BodyReader | None:
    """Return the reader of an endpoint's body, None for one that takes no body."""
    readers = (dependency.call for dependency in _flatten(route.dependant))
    return next((reader for reader in readers if isinstance(reader, BodyReader)), None)


def _flatten(dependant: Dependant) -> Iterator[Dependant]:
    for child in dependant.dependencies:
        yield child
        yield from _flatten(child)


def _describe(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=documentation.SUMMARY,
        description=documentation.DESCRIPTION,
        routes=[describing_route(route) for route in describe_routes(app)],
        tags=documentation.TAGS,
        servers=[{"url": "/", "description": "This server"}],
        contact=documentation.CONTACT,
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    components = document["components"]
    for name in _FOREIGN_SCHEMAS:
        components["schemas"].pop(name, None)
    components["securitySchemes"] = {
        documentation.SECURITY_SCHEME_NAME: documentation.SECURITY_SCHEME,
        documentation.RUN_SCHEME_NAME: documentation.RUN_SCHEME,
    }
    for route in describe_routes(app):
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            _complete(operation, route, components["schemas"])
    return document


def _complete(operation: dict[str, Any], route: RouteContext, schemas: dict[str, Any]) -> None:
    operation["responses"].pop(_FOREIGN_STATUS, None)
    _add_parameters(operation, route)
    gate, reader = gate_of(route), reader_of(route)
    examples = EXAMPLES.get(operation["operationId"], OperationExamples())
    if gate is None:
        operation["security"] = []
    elif isinstance(gate, RunTokenGate):
        operation["security"] = [{documentation.RUN_SCHEME_NAME: []}]
    else:
        # OpenAPI 3.1 lets any scheme name the roles that an operation needs.
        operation["security"] = [{documentation.SECURITY_SCHEME_NAME: [str(gate.scope)]}]
        operation["description"] += f"\n\n**Scope:** `{gate.scope}`"
    if reader is not None:
        operation["requestBody"] = _request_body(reader.model, examples, schemas)
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values():
            if int(status) < _FIRST_ERROR_STATUS:
                # A file has no example.
                if examples.answer is not None:
                    content["example"] = on_the_wire(examples.answer)
            # What is not ready has a body of its own, and as many examples as there are parts.
            elif shown := _shown_errors(int(status), gate, examples, has_body=reader is not None):
                content["examples"] = _named(shown)
        if status == _TOO_MANY_REQUESTS:
            response["headers"] = {
                "Retry-After": {
                    "description": "Seconds until the budget is renewed.",
                    "schema": {"type": "integer", "minimum": 1},
                }
            }


def _shown_errors(
    status: int, gate: ScopeGate | RunTokenGate | None, examples: OperationExamples, *, has_body: bool
) -> dict[str, Any]:
    if gate is None:
        return public_error_examples(status, examples)
    return error_examples(status, gate, examples, has_body=has_body)


def _add_parameters(operation: dict[str, Any], route: RouteContext) -> None:
    """Describe what the path holds, whether or not FastAPI knows of it, and the parameters that are read leniently."""
    known = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
    for parameter in known.values():
        kinds = parameter["schema"].get("type")
        if isinstance(kinds, list):
            # A parameter that is not given is null to the service; on the wire it is absent.
            parameter["schema"]["type"] = next(kind for kind in kinds if kind != "null")
    in_path = dict.fromkeys(route.param_convertors)
    parameters = [
        # What is read leniently is text to FastAPI; a number has bounds of its own.
        known[name] if _is_number(known.get(name)) else documentation.PARAMETERS.get(name, known.get(name))
        for name in {**in_path, **known}
    ]
    if parameters:
        operation["parameters"] = parameters


def _is_number(parameter: dict[str, Any] | None) -> bool:
    return parameter is not None and parameter["schema"].get("type") == "integer"


def _request_body(
    model: type[BaseModel], examples: OperationExamples, schemas: dict[str, Any]
) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=_SCHEMA_REFERENCE)
    for name, described in {model.__name__: schema, **schema.pop("$defs", {})}.items():
        schemas[name] = _without_defaults(described)
    reference = {"$ref": _SCHEMA_REFERENCE.format(model=model.__name__)}
    return {
        # An empty body is `{}` (contract 2.5), which is enough where no field is required.
        "required": bool(schema.get("required")),
        "content": {_MEDIA_TYPE: {"schema": reference, "examples": _named(examples.bodies)}},
    }


def _without_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a body, or of an object in one, without the defaults of its fields.

    Generated clients send the defaults that they read. In an update an absent field keeps its value, so they would
    overwrite what the caller did not mention (ADR 50). Where a default matters, the field's description names it.
    """
    for described in schema.get("properties", {}).values():
        described.pop("default", None)
    return schema


def _named(examples: Any) -> dict[str, Any]:
    """Return examples as OpenAPI writes them; the keys are identifiers, the summaries are shown."""
    return {
        f"example{number}": {"summary": summary, "value": value}
        for number, (summary, value) in enumerate(examples.items(), start=1)
    }
