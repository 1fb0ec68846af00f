"""Push messages, their senders and outcomes; failures are sorted by the reaction that they need.

PushOutcome
├── Accepted     the service accepted it; with `ticket` its receipt is read later, if the service has receipts
├── DeadToken    the device is gone: remove its token
├── BadMessage   this message will never be accepted; the token stays
└── TryLater     nothing was decided; send this message again

PushUnavailable  raised: no message of this call was decided, and other calls will fail too for now
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from app.clients.deadline import Deadline
from app.enums import Urgency

_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class PushAction:
    """A button of a push about a question: pressing it chooses the option `option_id`.

    A device answers the question by the action token `token`; a browser opens the page `link` instead.
    """

    id: str
    option_id: str
    title: str
    token: str = field(repr=False)
    link: str | None = field(repr=False)


# Not frozen: that takes twice as long to make.
@dataclass(slots=True, kw_only=True)
class PushStyle:
    """The look and sound of a push; each push service encodes them in its own way."""

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
    # It replaces another message, and still makes a sound.
    is_renewed: bool = False
    # The page that a tap opens.
    link: str | None = field(default=None, repr=False)
    actions: Sequence[PushAction] = ()


# Not frozen: likewise.
@dataclass(slots=True)
class PushMessage:
    """A push to one device. Without a style it has a title, a body and data only."""

    token: str = field(repr=False)
    title: str
    body: str
    data: Mapping[str, Any]
    style: PushStyle | None = None
    # A message replaces the earlier ones of its tag, also where a service delivers the same message twice.
    tag: str | None = None

    def content(self) -> dict[str, Any]:
        """Return the content of the push as JSON, as the device gets it."""
        return {"title": self.title, "body": self.body, "data": dict(self.data)}


# Not frozen: likewise.
@dataclass(slots=True)
class Accepted:
    """Outcome: the push service accepted the message; `ticket` finds its receipt later."""

    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class DeadToken:
    """Outcome: the device no longer exists; its token is to be removed."""

    reason: str


@dataclass(frozen=True, slots=True)
class BadMessage:
    """Outcome: the push service will never accept this message; the device's token stays."""

    reason: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """Outcome: the push service decided nothing about the message, which is to be sent again."""

    reason: str
    retry_after: float | None = None
    # It was sent, but no response came.
    may_have_arrived: bool = False


PushOutcome = Accepted | DeadToken | BadMessage | TryLater

# The message was not sent to the service.
NOT_REACHED = TryLater("NotReached")


class PushUnavailable(Exception):
    """The push service accepts no messages now.

    `retry_after` is the delay in seconds that it requests, or None.
    """

    def __init__(
        self, reason: str, *, retry_after: float | None = None, may_have_arrived: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.may_have_arrived = may_have_arrived

    @property
    def outcome(self) -> TryLater:
        """The outcome for each message of a call that failed in this way."""
        return TryLater(self.reason, self.retry_after, self.may_have_arrived)


class PushSender(Protocol):
    """A push service that sends messages to devices."""

    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        """Send at most 100 push messages; return their outcomes in the same order.

        Messages that would have to wait beyond the deadline, for other messages or the rate, are not sent
        (`NOT_REACHED`).

        Raises:
            PushUnavailable: nothing was decided about any of them.

        """
        ...

    async def receipts(self, tickets: Sequence[str]) -> dict[str, PushOutcome]:
        """Return the final outcomes of at most 1000 accepted messages, by ticket; unknown ones are left out.

        Raises:
            PushUnavailable: the service does not respond.

        """
        ...


def shorten(
    message: PushMessage,
    *,
    max_bytes: int,
    content: Callable[[PushMessage], Mapping[str, Any]] = PushMessage.content,
) -> PushMessage:
    """Return a message with JSON content of at most `max_bytes`: drop its buttons, then shorten its body."""
    if message.style and message.style.actions and len(orjson.dumps(content(message))) > max_bytes:
        # An agent names its options; long names must not keep the question from its person.
        message = replace(message, style=replace(message.style, actions=()))
    body = message.body
    while body and (excess := len(orjson.dumps(content(message))) - max_bytes) > 0:
        # A character has at most six bytes of JSON, so this never cuts much more than needed.
        body = body[: -max(1, excess // 6)]
        message = replace(message, body=body + _ELLIPSIS if body else "")
    return message
