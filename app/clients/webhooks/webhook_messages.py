"""Signed webhook messages, the interface of their senders, and the results of attempts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from app import __version__
from app.enums import DeliveryError

FIXED_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"Taskbeacon-Webhooks/{__version__}",
    "Accept": "*/*",
    # Responses must not be compressed, because an excerpt is stored as it arrives.
    "Accept-Encoding": "identity",
}

_GONE = 410


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """The HTTP request of one attempt to deliver an event to a webhook endpoint: URL, body, and signing headers."""

    url: str
    body: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The result of one attempt to send a webhook message. `error` is None if the receiver accepted the message.

    `status_code`, `retry_after` (in seconds) and `excerpt` (the beginning of a text body) come from the response; each
    is None if the response does not have it or there was no response. `address` is the IP address of the last
    connection attempt, or None if there was no attempt.
    """

    started_at: datetime
    duration: timedelta
    error: DeliveryError | None = None
    status_code: int | None = None
    retry_after: float | None = None
    excerpt: str | None = None
    address: str | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the receiver answered with the status 410 (Gone), which means that it wants no further messages."""
        return self.status_code == _GONE


class WebhookSender(Protocol):
    async def send(self, message: SignedMessage) -> AttemptResult:
        """Send a message once and return the result; a failure of the network or of the receiver is in the result."""
