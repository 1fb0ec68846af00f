"""The client of Taskbeacon's API: `Client`, and `AsyncClient` with the same names.

Answers are the server's JSON, with its keys; `taskbeacon.client.types` describes them for type checkers.
"""

from importlib import import_module
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
from taskbeacon.client.webhooks import verify_webhook

if TYPE_CHECKING:
    from taskbeacon.client.asynchronous import AsyncClient
    from taskbeacon.client.synchronous import Client

__all__ = [
    "AccessDenied", "ApiError", "AsyncClient", "BadRequest", "Client", "Conflict", "ConnectionFailed", "End", "Event",
    "Gap", "InvalidSignature", "NotFound", "RateLimited", "ServerError", "TaskbeaconError", "WaitTimeout", "Waiting",
    "verify_webhook",
]  # fmt: skip


_CLIENTS = {"AsyncClient": "asynchronous", "Client": "synchronous"}


def __getattr__(name: str) -> Any:
    # httpx, and asyncio alone, take longer to load than all else here.
    if name in _CLIENTS:
        return getattr(import_module(f"{__name__}.{_CLIENTS[name]}"), name)
    raise AttributeError(name)
