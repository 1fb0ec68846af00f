"""Checks responses against the published OpenAPI description: status, media type, shape, no extra key."""

from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator

_JSON = "application/json"


class Description:
    """The OpenAPI description of an application, against which its responses are checked."""

    def __init__(self, app: FastAPI) -> None:
        self.document: dict[str, Any] = app.openapi()
        self._responses: dict[str, Any] = self.document["components"]["responses"]
        self._components = _strict(self.document["components"])
        self._paths = [
            (route.path_regex, route.path_format, {method.lower() for method in route.methods or ()})
            for route in app.routes
            if isinstance(route, APIRoute) and route.path_format in self.document["paths"]
        ]

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return the described operation for a method and path, None if there is none."""
        method, path = method.lower(), path.rstrip("/")
        for pattern, described, methods in self._paths:
            if pattern.match(path) and method in methods:
                found: dict[str, Any] = self.document["paths"][described][method]
                return found
        return None

    def response(self, described: dict[str, Any]) -> dict[str, Any]:
        """Return a response of an operation as the document describes it, itself or by reference."""
        name = described.get("$ref", "").rpartition("/")[2]
        return self._responses[name] if name else described

    def violations(self, value: Any, schema: dict[str, Any]) -> list[str]:
        """Return the violations of a schema of the document by a value."""
        validator = Draft202012Validator(
            _strict(schema) | {"components": self._components},
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    def check(self, response: httpx.Response) -> None:
        """Check that a response is one of those described for its operation; its body must be read already."""
        operation = self.operation(response.request.method, response.request.url.path)
        assert operation is not None, response.request.url
        status = str(response.status_code)
        assert status in operation["responses"], (
            f"{operation['operationId']} answered {status}: {response.text}"
        )
        described = self.response(operation["responses"][status]).get("content")
        if not described:
            assert response.content == b""
            assert "content-type" not in response.headers
            return
        media_type = response.headers["content-type"].partition(";")[0]
        content = described.get(media_type, described.get("*/*"))
        assert content is not None, f"{operation['operationId']} answered {media_type}"
        if media_type == _JSON:
            assert self.violations(response.json(), content["schema"]) == []


def _strict(schema: Any) -> Any:
    """Return the schema, refusing keys that it does not name: the contract says "exactly these keys"."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    # A property may itself be called "properties"; only that of an object holds schemas.
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        strict["additionalProperties"] = False
    return strict
