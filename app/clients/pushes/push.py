"""Push messages, the interface of their senders, and their outcomes: one class for each reaction of the caller.

Classes with an object for each push are not frozen, because creating a frozen one takes twice as long.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Protocol

from app.coroutines.periodic import wait
from app.enums import Urgency
from app.json_types import JsonDict


@dataclass(frozen=True, slots=True)
class PushAction:
    """A button of a question, which answers with `option_id`: phones send the action token, browsers open `link`."""

    id: str
    option_id: str
    title: str
    token: str = field(repr=False)
    link: str | None = field(repr=False)


@dataclass(slots=True, kw_only=True)
class PushStyle:
    """Urgency, lifetime and look of a push, the same for all push services."""

    urgency: Urgency
    # How long a push service keeps it for a device that cannot be reached.
    ttl_seconds: int
    # The number of questions that wait for the person.
    badge: int | None = None
    # Who is quoted, for example an agent; None: the service itself.
    speaker: str | None = None
    # Messages of one thread are shown together.
    thread: str | None = None
    channel: str | None = None
    is_silent: bool = False
    # The message replaces another one, and makes a sound again.
    is_renewed: bool = False
    link: str | None = field(default=None, repr=False)
    actions: Sequence[PushAction] = ()


@dataclass(slots=True)
class PushMessage:
    """A push to one device, with `data` for its app. Without a style, the push service uses its defaults."""

    token: str = field(repr=False)
    title: str
    body: str
    data: Mapping[str, Any]
    style: PushStyle | None = None
    # A device replaces earlier messages with the same tag, so a message that is delivered twice is shown once.
    tag: str | None = None

    def content(self) -> JsonDict:
        """Return title, text and data as JSON, the same for every push service."""
        return {"title": self.title, "body": self.body, "data": dict(self.data)}


@dataclass(slots=True)
class Accepted:
    """The service accepted the message; with `ticket` its final outcome is read later."""

    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class DeadToken:
    """The device is gone: delete its token."""

    reason: str


@dataclass(frozen=True, slots=True)
class BadMessage:
    """The service will never accept this message; the token stays."""

    reason: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """The message was not accepted; send it again, `retry_after` seconds later if the service says so.

    `may_have_arrived`: the device may show it, also twice. `until`: the next try of a service that refuses everything.
    """

    reason: str
    retry_after: float | None = None
    may_have_arrived: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The message was not sent, which is no attempt. It is due again at `until`; None: at once."""

    reason: str
    until: datetime | None = None


PushOutcome = Accepted | DeadToken | BadMessage | TryLater | NotSent

# The most messages of one `PushSender.send`, and tickets of one `ReceiptSource.fetch_receipts`.
MESSAGES_PER_REQUEST = 100
TICKETS_PER_REQUEST = 1000

# The deadline passed before the message was sent.
NOT_REACHED = NotSent("NotReached")


class PushUnavailable(Exception):
    """The service gave no answer that decides about a request; `outcome` is that of each of its messages."""

    def __init__(
        self, reason: str, *, retry_after: float | None = None, may_have_arrived: bool = False
    ) -> None:
        super().__init__(reason)
        self.outcome = TryLater(reason, retry_after, may_have_arrived)


class Deadline:
    """A time after which no new step of some work may begin; `expire` makes it pass at once."""

    def __init__(self, seconds: float = math.inf) -> None:
        self._moment = monotonic() + seconds
        self._expired = asyncio.Event()

    @property
    def seconds_left(self) -> float:
        return 0.0 if self._expired.is_set() else max(0.0, self._moment - monotonic())

    @property
    def is_past(self) -> bool:
        return self.seconds_left == 0.0

    def expire(self) -> None:
        """Make the deadline pass now, and wake all callers of `sleep`."""
        self._expired.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until `expire` is called. The deadline itself does not end the sleep."""
        await wait(self._expired, seconds)


class PushSender(Protocol):
    """The interface to a push service, which delivers messages to devices. Each push service has its own client."""

    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        """Send at most MESSAGES_PER_REQUEST messages, and return their outcomes in this order.

        Failures of the service are outcomes too. A message that waits when `deadline` passes, or while the service
        refuses everything, is not sent.
        """


class ReceiptSource(Protocol):
    """The interface to a push service that can be asked later whether the messages that it accepted have arrived."""

    async def fetch_receipts(self, tickets: Sequence[str]) -> dict[str, PushOutcome]:
        """Return the known final outcomes of at most TICKETS_PER_REQUEST messages by ticket; raise PushUnavailable."""
