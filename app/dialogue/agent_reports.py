"""An agent's usage and messages to people, and the log entries of a run's progress."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from app.clock import utcnow
from app.enums import NotificationDecision, Urgency
from app.ids import new_id
from app.json_types import JsonDict


class Spent(NamedTuple):
    """The usage of one or more runs: tokens, and cost in US dollars. An agent that reports no cost counts as free."""

    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMessage:
    """A message that an agent sends to the creator of its task, with secrets removed."""

    title: str
    message: str
    urgency: Urgency
    # Stays the same when a decision about the message is requested again.
    id: UUID = field(default_factory=new_id, compare=False)


@dataclass(frozen=True, slots=True)
class MessageOutcome:
    """The decision about a message of an agent: sent to `devices` devices, or not sent because of `reason`."""

    decision: NotificationDecision
    reason: str | None = None
    devices: int = 0

    def answer(self) -> JsonDict:
        """Return the outcome as a JSON object for the agent: `decision`, and either `devices` or `reason`."""
        if self.decision in {NotificationDecision.PENDING, NotificationDecision.SENT}:
            return {"decision": NotificationDecision.SENT.value, "devices": self.devices}
        return {"decision": self.decision.value, "reason": self.reason}


def notification_entry(method: str, params: Mapping[str, object]) -> JsonDict:
    """Return a log entry that contains a JSON-RPC notification and the current time (contract 13.4)."""
    return {
        "type": "notification",
        "timestamp": utcnow().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "notification": {"jsonrpc": "2.0", "method": method, "params": params},
    }


def progress_entry(step: str, message: str, **details: object) -> JsonDict:
    """Return a log entry about a step of a run: `clone`, `setup`, `agent`, `check`, `collect` and the like."""
    return notification_entry("_taskbeacon/progress", {"step": step, "message": message, **details})
