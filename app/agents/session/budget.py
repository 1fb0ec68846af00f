"""Keeps an agent within the budget of its task: asks it to wrap up at nine tenths, and stops it at the limit.

The protocol has no message within a turn, so the turn is cancelled, and the next prompt asks to wrap up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

from acp.helpers import ContentBlock, text_block

from app.agents.errors import AgentError, BudgetSpent
from app.agents.session.agent_session import AgentSession
from app.agents.session.command_source import TurnPolicy
from app.agents.session.usage_meter import UsageMeter
from app.coroutines.periodic import cancel_all
from app.dialogue.agent_reports import Spent
from app.tracing.spans import traced

_WRAP_UP_AT = 0.9
_WRAP_UP = (
    "You have used nine tenths of what this task may use. Wrap up now: finish the step that you are at, leave the "
    "files in a state that works, and say in a few words what is left to do. Begin nothing new."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The tokens and money that all runs of a task together may use. A field that is None sets no limit."""

    tokens: int | None = None
    cost: float | None = None  # in US dollars

    @classmethod
    def lowest(cls, *tokens: int | None, cost: float | None) -> Self:
        """Return the budget of the lowest of these limits; None and 0 are no limit."""
        return cls(tokens=min(filter(None, tokens), default=None), cost=cost or None)

    @property
    def is_limited(self) -> bool:
        return self.tokens is not None or self.cost is not None

    def share(self, spent: Spent) -> float:
        """Return the larger of the spent shares of tokens and money; 1 is all of the budget."""
        tokens = spent.tokens / self.tokens if self.tokens is not None else 0.0
        return max(tokens, spent.cost / self.cost if self.cost is not None else 0.0)

    def describe(self, spent: Spent) -> str:
        """Return what is spent and the limits, such as `5 of 10 tokens`; "" without limits."""
        parts = []
        if self.tokens is not None:
            parts.append(f"{spent.tokens} of {self.tokens} tokens")
        if self.cost is not None:
            parts.append(f"{spent.cost:.2f} of {self.cost:.2f} US dollars")
        return " and ".join(parts)


class Spender:
    """Sends prompts while the budget lasts: it asks the agent to finish at nine tenths, and stops it at the limit."""

    def __init__(
        self, budget: Budget, meter: UsageMeter, say: Callable[[str], Awaitable[None]], turns: TurnPolicy
    ) -> None:
        self._budget = budget
        self._interrupt_seconds = turns.interrupt_seconds
        self.meter = meter
        self._say = say
        self._is_wrapping_up = False

    async def prompt(
        self,
        session: AgentSession,
        blocks: Sequence[ContentBlock],
        *,
        is_cancelled: Callable[[], bool] = lambda: False,
        on_turn: Callable[[], None] = lambda: None,
    ) -> str:
        """Send a prompt within the budget; return the stop reason of the last turn. Raises BudgetSpent, AgentError.

        At nine tenths the turn is cancelled, and a second one asks the agent to finish, unless `is_cancelled`.
        `on_turn` is called when the agent accepts messages.
        """
        self._require_some_left()
        if self._share >= _WRAP_UP_AT and not self._is_wrapping_up:
            blocks = [*blocks, text_block(_WRAP_UP)]
            await self._begin_to_wrap_up()
            if is_cancelled():
                return "cancelled"
        wrapped_up_before = self._is_wrapping_up
        stop_reason = await self._take_turn(session, blocks, on_turn)
        if stop_reason != "cancelled" or is_cancelled():
            return stop_reason
        self._require_some_left()
        if self._is_wrapping_up and not wrapped_up_before:
            stop_reason = await self._take_turn(session, [text_block(_WRAP_UP)], on_turn)
            if stop_reason == "cancelled" and not is_cancelled():
                self._require_some_left()
        return stop_reason

    @property
    def _share(self) -> float:
        return self._budget.share(self.meter.all_runs)

    @property
    def _spent(self) -> str:
        return self._budget.describe(self.meter.all_runs)

    def _require_some_left(self) -> None:
        if self._share >= 1:
            raise BudgetSpent(
                f"The task has used up its budget: {self._spent}. Raise the budget of tasks, or make a new task of "
                "what is left to do."
            )

    async def _begin_to_wrap_up(self) -> None:
        self._is_wrapping_up = True
        await self._say(f"Nine tenths of the task's budget are used ({self._spent}).")

    @traced("run.turn")
    async def _take_turn(
        self, session: AgentSession, blocks: Sequence[ContentBlock], on_turn: Callable[[], None]
    ) -> str:
        # An error of `_watch` ends the turn, because nothing else enforces the budget.
        self.meter.begin_turn()
        turn = asyncio.create_task(session.prompt(blocks))
        watching = asyncio.create_task(self._watch(session))
        on_turn()
        try:
            await asyncio.wait({turn, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                await watching
            return await turn
        except AgentError:
            self._require_some_left()  # the agent may have ended because `_watch` closed the session
            raise
        finally:
            await cancel_all((turn, watching))
            self.meter.end_turn(session.last_usage)

    async def _watch(self, session: AgentSession) -> None:
        while self._share < 1:
            if self._share >= _WRAP_UP_AT and not self._is_wrapping_up:
                await self._begin_to_wrap_up()
                await session.cancel()
            await self.meter.changed.wait()
            self.meter.changed.clear()
        await self._say(f"The task's budget is used up ({self._spent}).")
        await session.cancel()
        await asyncio.sleep(self._interrupt_seconds)
        await session.close(at_once=True)
