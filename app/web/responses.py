"""Responses of routes: plain data is encoded to JSON once."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson
from fastapi import Response
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from app.api_limits import LARGE_RESPONSE_BYTES
from app.web.large_responses import LargeResponses

SAFE_METHODS = frozenset({"GET", "HEAD"})


class Json(Response):
    """A JSON response in the formats of the contract (2.8). For example, times are in UTC and end with `Z`.

    `content` is encoded without validation, when `body` is first read or the response is sent.
    """

    media_type = "application/json"

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self._content = content
        # Attributes that Starlette expects of a response.
        self.status_code = status_code
        self.background = None
        self.raw_headers = [
            *(
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in (headers or {}).items()
            ),
            (b"content-type", b"application/json"),
        ]

    @cached_property
    @override
    def body(self) -> bytes:  # type: ignore[override] # Starlette's attribute, which nothing sets here
        """The content of the response as JSON. It is encoded at the first access and then kept."""
        return orjson.dumps(self._content, default=_encode, option=orjson.OPT_UTC_Z)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Encode the response and send it (ASGI).

        For a large response this raises the errors of `LargeResponses.send`.
        """
        body = self.body
        start: Message = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": [*self.raw_headers, (b"content-length", str(len(body)).encode())],
        }
        if len(body) <= LARGE_RESPONSE_BYTES:
            await send(start)
            await send({"type": "http.response.body", "body": body})
            return
        large: LargeResponses = scope["app"].state.large_responses
        await large.send(start, body, send, may_refuse=scope["method"] in SAFE_METHODS)


def _encode(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not belong into an answer")


def no_content() -> Response:
    """Return a response with the status 204, which has no body and no content type (contract 2.1)."""
    return Response(status_code=204)
