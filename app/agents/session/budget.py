"""Keeps an agent within the budget of its task: asks it to wrap up at nine tenths, and stops it at the limit.

The protocol cannot send a message in the middle of a turn. So the turn is cancelled and the request to wrap
up starts another turn, in which the agent still remembers its work. The work of a stopped agent is kept, as
in any failed run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from acp.helpers import ContentBlock, text_block

from app.agents.errors import AgentError, BudgetSpent
from app.agents.session.session import AgentSession
from app.agents.session.usage import UsageMeter
from app.run_values import Spent

_WRAP_UP_AT = 0.9
# The time that an agent has to end a cancelled turn. In an interactive run the conversation goes on after it; the
# others end with it, and everything of them has to be gone within two seconds.
INTERRUPT_SECONDS = 10.0
CANCEL_SECONDS = 1.5
_WRAP_UP = (
    "You have used nine tenths of what this task may use. Wrap up now: finish the step that you are at, leave the "
    "files in a state that works, and say in a few words what is left to do. Begin nothing new."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The tokens and money that all runs of a task together may use. A field that is None sets no limit."""

    tokens: int | None = None
    cost: float | None = None  # in US dollars

    @property
    def is_limited(self) -> bool:
        """Whether the budget limits tokens, money or both."""
        return self.tokens is not None or self.cost is not None

    def share(self, spent: Spent) -> float:
        """Return the share of the budget that is spent, from 0 (nothing) to 1 (all) or more.

        If the budget limits both tokens and money, this is the larger of the two shares.
        """
        tokens = spent.tokens / self.tokens if self.tokens is not None else 0.0
        return max(tokens, spent.cost / self.cost if self.cost is not None else 0.0)

    def describe(self, spent: Spent) -> str:
        """Return the spent amounts and their limits as text for people, such as `5 of 10 tokens`.

        Return "" if the budget has no limits.
        """
        parts = []
        if self.tokens is not None:
            parts.append(f"{spent.tokens} of {self.tokens} tokens")
        if self.cost is not None:
            parts.append(f"{spent.cost:.2f} of {self.cost:.2f} US dollars")
        return " and ".join(parts)


class Spender:
    """Sends prompts to an agent as long as its task has budget left.

    At nine tenths of the budget it cancels the turn and asks the agent to finish; at the limit it stops the agent.
    `say` reports both in the run's log.
    """

    def __init__(self, budget: Budget, meter: UsageMeter, say: Callable[[str], Awaitable[None]]) -> None:
        self._budget = budget
        self._meter = meter
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
        """Send a prompt to the agent within the budget of the task; return the protocol's stop reason of the last turn.

        At nine tenths of the budget this cancels the turn, and a second turn asks the agent to finish.

        Args:
            session: the agent's session.
            blocks: the prompt.
            is_cancelled: returns whether a person has cancelled the turn. If so, there is no second turn.
            on_turn: called when a turn has begun: from now on the agent accepts messages for it.

        Raises:
            BudgetSpent: the budget is spent, before or during the turn.
            AgentError: `session.prompt` failed.

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
        return self._budget.share(self._meter.all_runs)

    @property
    def _spent(self) -> str:
        return self._budget.describe(self._meter.all_runs)

    def _require_some_left(self) -> None:
        if self._share >= 1:
            raise BudgetSpent(
                f"The task has used up its budget: {self._spent}. Raise the budget of tasks, or make a new task of "
                "what is left to do."
            )

    async def _begin_to_wrap_up(self) -> None:
        self._is_wrapping_up = True
        await self._say(f"Nine tenths of the task's budget are used ({self._spent}).")

    async def _take_turn(
        self, session: AgentSession, blocks: Sequence[ContentBlock], on_turn: Callable[[], None]
    ) -> str:
        """Make the agent take a turn; an error of the watch ends it, since nothing else enforces the budget."""
        self._meter.begin_turn()
        turn = asyncio.create_task(session.prompt(blocks))
        watching = asyncio.create_task(self._watch(session))
        on_turn()
        try:
            await asyncio.wait({turn, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                await watching
            return await turn
        except AgentError:
            self._require_some_left()  # this class ended it
            raise
        finally:
            turn.cancel()
            watching.cancel()
            await asyncio.gather(turn, watching, return_exceptions=True)
            self._meter.end_turn(session.last_usage)

    async def _watch(self, session: AgentSession) -> None:
        """Cancel the agent's turn when the budget requires it; end the agent if it does not obey."""
        while self._share < 1:
            if self._share >= _WRAP_UP_AT and not self._is_wrapping_up:
                await self._begin_to_wrap_up()
                await session.cancel()
            await self._meter.changed.wait()
            self._meter.changed.clear()
        await self._say(f"The task's budget is used up ({self._spent}).")
        await session.cancel()
        await asyncio.sleep(INTERRUPT_SECONDS)
        await session.close(at_once=True)
