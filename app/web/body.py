"""Request bodies as dependencies, so that the signature of a route's function shows the order of its gates.

FastAPI's own parameters for bodies refuse malformed JSON before any dependency runs, and an invalid body after all of
them. The contract requires authentication first and then, per route, the body or the look-up (2.3). One reader serves
all.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Depends, Request
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from app.api_limits import BODY_BYTES, BODY_BYTES_PER_SECOND, BODY_SECONDS, DRAINED_BYTES, JSON_DEPTH
from app.errors import (
    AppError,
    BodyTooLarge,
    InvalidInput,
    MalformedBody,
    RequestTimeout,
    UnsupportedMediaType,
)
from app.schemas.base import Input

_CACHED = "taskbeacon.body"

Model = TypeVar("Model", bound=Input)


class BodyReader(Generic[Model]):
    def __init__(self, model: type[Model]) -> None:
        self.model = model

    async def __call__(self, request: Request) -> Model:
        data = await read_json(request)
        if data is None:
            raise InvalidInput("No data provided", code="null")
        if not isinstance(data, dict):
            raise InvalidInput(f"Invalid data. Expected a dictionary, but got {type(data).__name__}.")
        try:
            return self.model.model_validate(data)
        except ValidationError as error:
            raise first_error(error.errors(include_url=False)) from error


if TYPE_CHECKING:
    Body = Annotated[Model, "of a request"]
else:

    class Body:
        """`Body[X]` is a parameter of a route: the body of the request, as an X."""

        def __class_getitem__(cls, model: type[Model]) -> object:
            return Annotated[model, Depends(BodyReader(model))]


async def read_json(request: Request) -> Any:
    """Return the request's body as parsed JSON. An empty body is returned as `{}`."""
    if _CACHED not in request.scope:
        try:
            request.scope[_CACHED] = await _read_json(request)
        except AppError as error:
            request.scope[_CACHED] = error.with_traceback(None)
    outcome = request.scope[_CACHED]
    if isinstance(outcome, AppError):
        # Raise a copy, because raising changes the traceback and the context of an exception.
        raise outcome.with_detail(outcome.detail)
    return outcome


async def _read_json(request: Request) -> Any:
    raw = await read_bytes(request)
    if not raw:
        return {}
    media_type = request.headers.get("content-type", "")
    if media_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType(media_type)
    return load_json(raw)


def load_json(raw: bytes) -> Any:
    """Parse a JSON text that is nested at most 200 levels deep, and return its data."""
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"JSON parse error - {error}") from None
    if raw.count(b"[") + raw.count(b"{") > JSON_DEPTH and _is_deeper_than(data, JSON_DEPTH):
        raise MalformedBody("JSON parse error - nested too deeply")
    return data


async def read_bytes(request: Request, *, limit: int = BODY_BYTES, seconds: float = BODY_SECONDS) -> bytes:
    chunks: list[bytes] = []
    size = 0
    began = asyncio.get_running_loop().time()
    is_complete = False
    try:
        async with asyncio.timeout(seconds) as patience:
            # Not `request.stream()`, which does not tell the last piece: the timer would be set again for nothing.
            while not is_complete and size <= DRAINED_BYTES:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk: bytes = message.get("body", b"")
                size += len(chunk)
                if size <= limit:
                    chunks.append(chunk)
                else:
                    chunks.clear()
                is_complete = not message.get("more_body", False)
                if not is_complete:
                    patience.reschedule(began + seconds + size / BODY_BYTES_PER_SECOND)
    except TimeoutError:
        raise RequestTimeout from None
    if size > limit:
        raise BodyTooLarge(limit)
    return b"".join(chunks)


def _is_deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def first_error(errors: Sequence[Mapping[str, Any]], *, skip: int = 0) -> InvalidInput:
    """Return the first of Pydantic's errors, as the error that is reported to the client."""
    error = errors[0]
    # A field that parses an object itself reports the path of the error within the object.
    below = error.get("ctx", {}).get("below", ())
    attr = "__".join(str(part) for part in (*error["loc"][skip:], *below)) or None
    if error["type"] == "missing":
        return InvalidInput("This field is required.", code="required", attr=attr)
    if error["type"] in {"model_type", "dict_type"}:
        # An item of a list is no object.
        received = type(error["input"]).__name__
        text = f"Invalid data. Expected a dictionary, but got {received}."
        return InvalidInput(text, attr=attr)
    return InvalidInput(error["msg"], code=error["type"], attr=attr)
