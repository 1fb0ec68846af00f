"""Learns from an agent's updates what its answers do not say. Changes nothing on their way to the log."""

from typing import Any  # JSON

from app.agents.adapters.adapter import Adapter
from app.agents.session.transport import Message
from app.agents.session.usage import UsageMeter

__all__ = ["Observer"]


class Observer:
    """What the entries of one conversation's log tell beside their words."""

    def __init__(self, adapter: Adapter, meter: UsageMeter) -> None:
        self._mark = adapter.failure_mark
        self._meter = meter
        self.has_failed = False  # at its last word on this, in the turn under way

    def begin_turn(self) -> None:
        """Forget what concerned the last turn only."""
        self.has_failed = False

    def see(self, entry: Message) -> None:
        """Take in an entry of the log."""
        update = entry.get("notification", {}).get("params", {}).get("update")
        if not isinstance(update, dict):
            return
        self._meter.see(update)
        if self._mark is not None:
            value = _at(update.get("_meta"), self._mark.meta)
            if value is not None:
                self.has_failed = value == self._mark.equals


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
