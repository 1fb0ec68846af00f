"""Values that the services and the agent of a run exchange: usage, and messages to the person of the task."""

from dataclasses import dataclass
from typing import Any  # JSON

from app.enums import NotificationDecision, Urgency


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens, and the cost in US dollars as far as agents report it."""

    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMessage:
    """A message of an agent to the person of its task, without secrets."""

    title: str
    message: str
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class MessageOutcome:
    """The decision about a message: the devices that it is sent to, or why it is not."""

    decision: NotificationDecision
    reason: str | None = None
    devices: int = 0

    def answer(self) -> dict[str, Any]:
        """Return the answer to the agent; a push that is still being sent counts as sent."""
        if self.decision is NotificationDecision.PENDING:
            return {"decision": NotificationDecision.SENT.value, "devices": self.devices}
        return {"decision": self.decision.value, "reason": self.reason}
