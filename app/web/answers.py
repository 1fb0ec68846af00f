"""How an answer becomes bytes: plain data, encoded once."""

from typing import Any
from uuid import UUID

import orjson
from fastapi import Response
from typing_extensions import override

__all__ = ["Json", "no_content"]


class Json(Response):
    """JSON with the value formats of the contract (2.8): instants in UTC with `Z`, microseconds unless zero.

    Routers declare the shape with `response_model`, which documents it; the service's typed answer is not validated
    once more on its way out.
    """

    media_type = "application/json"

    @override
    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, default=_encode, option=orjson.OPT_UTC_Z)


def _encode(value: Any) -> str:
    """Encode the driver's own subclass of UUID, which orjson does not know."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not belong into an answer")


def no_content() -> Response:
    """Return 204: no body, no content type (contract 2.1)."""
    return Response(status_code=204)
