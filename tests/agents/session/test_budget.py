"""Agents that spend: they are asked to wrap up, and stopped, and what they did is kept."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from acp.helpers import text_block

from app.agents.errors import BudgetSpent, UnexpectedError
from app.agents.execution.run_context import RunEffects
from app.agents.execution.run_steps import perform
from app.agents.session.budget import Budget, Spender
from app.agents.session.command_source import TurnPolicy
from app.agents.session.usage_meter import UsageMeter
from app.dialogue.agent_reports import Spent
from tests.agents.conftest import NoCommands, Outcome, Runner, scripted_adapter
from tests.agents.session.test_agent_session import Stage

SPEND = scripted_adapter("spend")


def prompts(outcome: Outcome) -> list[str]:
    return [update["content"]["text"] for update in outcome.updates("agent_message")]


async def test_agent_is_asked_to_wrap_up_at_nine_tenths(runner: Runner) -> None:
    outcome = await runner.run("400 500", adapter=SPEND, budget=Budget(tokens=1000))

    first, second = prompts(outcome)
    assert first == "400 500"
    assert second.startswith("You have used nine tenths of what this task may use. Wrap up now")
    assert outcome.error is None
    assert "Nine tenths of the task's budget are used (900 of 1000 tokens)." in json.dumps(outcome.entries)


async def test_agent_that_uses_everything_is_stopped(runner: Runner) -> None:
    outcome = await runner.run("400 700", adapter=SPEND, budget=Budget(tokens=1000))

    assert isinstance(outcome.failed, BudgetSpent)
    assert outcome.failed.message.startswith("The task has used up its budget: 1100 of 1000 tokens.")
    assert outcome.failed.partial is not None
    assert prompts(outcome) == ["400 700"]


async def test_what_other_runs_of_the_task_used_counts(runner: Runner) -> None:
    low = await runner.run(
        "10", adapter=SPEND, budget=Budget(tokens=1000), meter=UsageMeter(others=Spent(tokens=950))
    )
    none = await runner.run(
        "10", adapter=SPEND, budget=Budget(cost=2), meter=UsageMeter(others=Spent(cost=2))
    )

    [prompt] = prompts(low)
    assert prompt.startswith("10 You have used nine tenths")
    assert isinstance(none.failed, BudgetSpent)
    assert "2.00 of 2.00 US dollars" in none.failed.message
    assert prompts(none) == []


async def test_turn_that_cannot_be_kept_within_the_budget_ends(runner: Runner) -> None:
    """The agent goes on until its turn is cancelled."""

    async def emit(entry: object) -> None:
        if "Nine tenths" in json.dumps(entry):
            raise OSError("the disk is full")

    effects = RunEffects(emit=emit, commands=NoCommands(), meter=UsageMeter())
    with pytest.raises(UnexpectedError):
        await perform(runner.prepare("950", adapter=SPEND, budget=Budget(tokens=1000)), effects)


class TestCancelledTurns:
    """A person's `cancel` counts, also at the moment at which the budget ends the turn."""

    @staticmethod
    async def prompt(
        stage: Stage, text: str, *, part: str = "spend", others: int = 0, cancel_at: str = "Nine tenths"
    ) -> tuple[str, Sequence[str]]:
        """Have an agent spend, and a person cancel when it is reported; return the stop reason and the prompts."""
        is_cancelled = False

        async def say(message: str) -> None:
            nonlocal is_cancelled
            is_cancelled = cancel_at in message

        meter = UsageMeter(others=Spent(tokens=others))
        spender = Spender(Budget(tokens=1000), meter, say, TurnPolicy())
        async with stage.play(part, see=meter.see) as talk:
            reason = await spender.prompt(talk.session, [text_block(text)], is_cancelled=lambda: is_cancelled)
            return reason, talk.said()

    async def test_turn_that_is_cancelled_while_nine_tenths_are_reported_is_not_begun(
        self, stage: Stage
    ) -> None:
        assert await self.prompt(stage, "10", others=950) == ("cancelled", [])

    async def test_agent_is_not_asked_to_wrap_up_a_turn_that_a_person_cancels(self, stage: Stage) -> None:
        assert await self.prompt(stage, "400 500") == ("cancelled", ["400 500"])

    async def test_cancel_while_the_agent_wraps_up_is_no_failure_of_the_budget(self, stage: Stage) -> None:
        spent = self.prompt(stage, "400 500", part="overspend", cancel_at="used up")
        assert await spent == ("cancelled", ["400 500", "200"])


async def test_agent_that_goes_on_at_the_limit_is_ended_after_the_time_for_interrupts(stage: Stage) -> None:
    async def say(_message: str) -> None:
        pass

    spender = Spender(Budget(tokens=1000), meter := UsageMeter(), say, TurnPolicy(interrupt_seconds=0))
    async with stage.play("splurge", see=meter.see) as talk, asyncio.timeout(5):
        with pytest.raises(BudgetSpent):
            await spender.prompt(talk.session, [text_block("")])


async def test_money_is_counted_too(runner: Runner) -> None:
    outcome = await runner.run("1", adapter=SPEND, budget=Budget(cost=0.11))

    assert prompts(outcome)[1].startswith("You have used nine tenths")


async def test_usage_is_added_up_where_the_caller_sees_it(runner: Runner) -> None:
    meter = UsageMeter()

    async def emit(_entry: object) -> None:
        pass

    await perform(
        runner.prepare("30 40 done", adapter=SPEND), RunEffects(emit=emit, commands=NoCommands(), meter=meter)
    )

    report = meter.report()
    assert report is not None
    assert (report["total_tokens"], report["input_tokens"], report["output_tokens"]) == (100, 90, 10)
    assert report["cost"] == {"amount": 0.1, "currency": "USD"}
