"""The client of Taskbeacon's API: `Client`, and `AsyncClient` with the same names.

Answers are the server's JSON, with its keys; `taskbeacon.client.types` describes them for type checkers.
"""

from typing import TYPE_CHECKING, Any

from taskbeacon.client.errors import (
    AccessDenied,
    ApiError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    InvalidSignature,
    NotFound,
    RateLimited,
    ServerError,
    TaskbeaconError,
    WaitTimeout,
)
from taskbeacon.client.events import End, Event, Gap, Waiting
from taskbeacon.client.synchronous import Client
from taskbeacon.client.webhooks import verify_webhook

if TYPE_CHECKING:
    from taskbeacon.client.asynchronous import AsyncClient

__all__ = [
    "AccessDenied", "ApiError", "AsyncClient", "BadRequest", "Client", "Conflict", "ConnectionFailed", "End", "Event",
    "Gap", "InvalidSignature", "NotFound", "RateLimited", "ServerError", "TaskbeaconError", "WaitTimeout", "Waiting",
    "verify_webhook",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # asyncio alone takes as long to load as all else here.
    if name == "AsyncClient":
        from taskbeacon.client.asynchronous import AsyncClient  # noqa: PLC0415

        return AsyncClient
    raise AttributeError(name)
