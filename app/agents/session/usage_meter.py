"""Counts the tokens and money that an agent reports (key `usage` in a run's state).

Until the end of a turn each request to the model counts as the size of its context; the larger count is used.
"""

import asyncio
from collections.abc import Mapping
from typing import Any  # JSON

from acp.schema import Usage

from app.agents.session.transport import Message
from app.dialogue.agent_reports import Spent

_KINDS = ("input_tokens", "output_tokens", "cached_read_tokens", "cached_write_tokens", "thought_tokens")
_CURRENCY = "USD"
_ENDED = frozenset({"completed", "failed"})


class UsageMeter:
    """Counts tokens and cost of one run, on top of what an earlier worker recorded, and knows the task's others."""

    def __init__(self, earlier: Mapping[str, object] | None = None, *, others: Spent | None = None) -> None:
        earlier = earlier if isinstance(earlier, Mapping) else {}
        self._is_reported = earlier != {}
        self._kinds = {kind: _count(earlier.get(kind)) for kind in _KINDS}
        self._finished = _count(earlier.get("total_tokens"))
        self._turn = _Turn()
        cost = earlier.get("cost")
        self._earlier_cost = _amount(cost) or 0.0
        self._cost = 0.0  # of this conversation in this run, by the agent's own sum
        self._resumed_at = 0.0  # the agent's own sum when this run resumed the conversation
        self._context: Message = {}
        self._others = others or Spent()
        # Set at every change; the waiter clears it.
        self.changed = asyncio.Event()

    @property
    def total_tokens(self) -> int:
        """The tokens that the run has used so far, with an estimate for the current turn."""
        return self._finished + self._turn.estimate

    @property
    def cost(self) -> float:
        """The cost of the run so far in US dollars, as the agent reports it; 0 if it reports none."""
        return self._earlier_cost + self._cost

    @property
    def conversation_cost(self) -> float:
        """The agent's sum of the cost of this conversation, also by earlier runs that had it."""
        return self._resumed_at + self._cost

    def resume(self, cost: float) -> None:
        """Note that the run resumes a conversation that has cost `cost` so far, to which the agent may add."""
        self._resumed_at = cost

    @property
    def all_runs(self) -> Spent:
        """The tokens and cost of all runs of the task: of this run, and of the others as last given to `see_others`."""
        return Spent(self._others.tokens + self.total_tokens, self._others.cost + self.cost)

    def see_others(self, others: Spent) -> None:
        if others != self._others:
            self._others = others
            self.changed.set()

    def begin_turn(self) -> None:
        self._turn = _Turn()

    def see(self, update: Message) -> None:
        kind = update.get("sessionUpdate")
        status = update.get("status")
        if kind == "tool_call_update" and isinstance(status, str) and status in _ENDED:
            self._turn.end_request()
        if kind != "usage_update":
            return
        used, size, cost = update.get("used"), update.get("size"), update.get("cost")
        self._turn.see(_count(used))
        self._context = {"context_tokens": _count(used), "context_size": _count(size)}
        if (amount := _amount(cost)) is not None:
            if amount < self._resumed_at:
                # The agent has begun its sum again, so the earlier cost is not in it.
                self._resumed_at = 0.0
            self._cost = max(self._cost, amount - self._resumed_at)
        self._note()

    def end_turn(self, usage: Usage | None) -> None:
        """Count the tokens of the turn: the agent's report or the estimate, whichever is larger."""
        total = self._turn.estimate
        if usage is not None:
            total = max(total, _count(usage.total_tokens))
            for kind in _KINDS:
                self._kinds[kind] += _count(getattr(usage, kind))
        self._finished += total
        self._turn = _Turn()
        if total:
            self._note()

    def report(self) -> Message | None:
        """Return the usage as JSON for the key `usage` in the run's state; None before the agent's first report."""
        if not self._is_reported:
            return None
        report: Message = {"total_tokens": self.total_tokens, **self._kinds, **self._context}
        if self.cost:
            report["cost"] = {"amount": round(self.cost, 6), "currency": _CURRENCY}
        return report

    def _note(self) -> None:
        self._is_reported = True
        self.changed.set()


class _Turn:
    def __init__(self) -> None:
        self._ended = 0
        self._request = 0
        self._is_over = False

    @property
    def estimate(self) -> int:
        return self._ended + self._request

    def end_request(self) -> None:
        self._is_over = True

    def see(self, used: int) -> None:
        if self._is_over:
            self._ended += self._request
            self._request, self._is_over = 0, False
        self._request = max(self._request, used)


def usage_in_meta(meta: Mapping[str, object] | None, path: str | None) -> Usage | None:
    """Return the tokens of a turn at `path` (keys joined by dots) of `_meta`; None if there are none."""
    found = value_at(meta, path) if path else None
    if not isinstance(found, Mapping):
        return None
    input_tokens, output_tokens = _count(found.get("input_tokens")), _count(found.get("output_tokens"))
    total = input_tokens + output_tokens
    return (
        Usage(input_tokens=input_tokens, output_tokens=output_tokens, total_tokens=total) if total else None
    )


def value_at(value: object, path: str) -> Any:
    """Return the value in nested JSON objects at `path`, keys joined by dots; None if a key is missing."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else 0


def _amount(cost: object) -> float | None:
    value = cost.get("amount") if isinstance(cost, Mapping) else None
    if isinstance(cost, Mapping) and cost.get("currency", _CURRENCY) != _CURRENCY:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
    return float(value) if is_number and value is not None else None
