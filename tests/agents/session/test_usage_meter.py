"""Usage computed from the numbers that real agents report."""

import pytest
from acp.schema import Usage

from app.agents.session.budget import Budget
from app.agents.session.usage_meter import UsageMeter, usage_in_meta
from app.dialogue.agent_reports import Spent

TOOL_ENDED = {"sessionUpdate": "tool_call_update", "status": "completed"}


def context(used: int, cost: float | None = None) -> dict[str, object]:
    update = {"sessionUpdate": "usage_update", "used": used, "size": 200_000}
    return update if cost is None else update | {"cost": {"amount": cost, "currency": "USD"}}


def usage(total: int, **kinds: int) -> Usage:
    return Usage(total_tokens=total, **{"input_tokens": total, "output_tokens": 0} | kinds)


def test_agent_that_reports_nothing_has_no_usage() -> None:
    meter = UsageMeter()
    meter.begin_turn()
    meter.see({"sessionUpdate": "agent_message_chunk", "content": {}})
    meter.end_turn(None)

    assert meter.report() is None
    assert not meter.changed.is_set()


def test_requests_of_a_turn_are_added_up_until_the_answer_is_exact() -> None:
    """Claude reports each request twice: as it begins and as it ends."""
    meter = UsageMeter()
    meter.begin_turn()
    for update in (context(1001), context(1100), TOOL_ENDED, TOOL_ENDED, context(2001), context(2100)):
        meter.see(update)
    before = meter.total_tokens
    meter.see(context(2100, cost=0.024))
    meter.end_turn(usage(3500, input_tokens=3000, output_tokens=500, cached_read_tokens=20))

    assert before == 3200
    assert meter.report() == {
        "total_tokens": 3500,
        "input_tokens": 3000,
        "output_tokens": 500,
        "cached_read_tokens": 20,
        "cached_write_tokens": 0,
        "thought_tokens": 0,
        "context_tokens": 2100,
        "context_size": 200_000,
        "cost": {"amount": 0.024, "currency": "USD"},
    }


def test_answer_about_the_last_request_only_does_not_lower_the_total() -> None:
    """OpenCode does."""
    meter = UsageMeter()
    meter.begin_turn()
    for update in (context(1100), TOOL_ENDED, context(1200)):
        meter.see(update)
    meter.end_turn(usage(1200))

    assert meter.total_tokens == 2300


def test_turns_are_added_up_and_costs_are_the_agents_own_sum() -> None:
    meter = UsageMeter()
    for cost in (0.02, 0.03):
        meter.begin_turn()
        meter.see(context(1000, cost=cost))
        meter.end_turn(usage(1100))

    assert (meter.total_tokens, meter.cost) == (2200, 0.03)


@pytest.mark.parametrize("sums", [(0.5, 0.75), (0.2, 0.25)], ids=["of all", "of its own"])
def test_resumed_conversation_counts_what_it_costs_from_then_on(sums: tuple[float, ...]) -> None:
    meter = UsageMeter()
    meter.resume(0.5)
    meter.begin_turn()
    for cost in sums:
        meter.see(context(1000, cost=cost))
    assert (meter.cost, meter.conversation_cost) == (0.25, sums[-1])


def test_another_attempt_goes_on_from_what_was_noted() -> None:
    first = UsageMeter()
    first.begin_turn()
    first.see(context(1000, cost=0.5))
    first.end_turn(usage(1100))

    second = UsageMeter(first.report())
    second.begin_turn()
    second.see(context(10, cost=0.25))
    second.end_turn(usage(10))

    assert (second.total_tokens, second.cost) == (1110, 0.75)


@pytest.mark.parametrize(
    "noted",
    [
        None,
        [],
        {"total_tokens": "many", "cost": 5},
        {"total_tokens": True, "cost": {"amount": "x"}},
        {"cost": {}},
    ],
)
def test_note_that_clients_spoiled_counts_as_none(noted: object) -> None:
    meter = UsageMeter(noted)  # type: ignore[arg-type]  # state is written by clients too

    assert (meter.total_tokens, meter.cost) == (0, 0.0)


@pytest.mark.parametrize("used", [-1, 2**70, "1000", None, True, 1.5])
def test_invalid_number_is_ignored(used: object) -> None:
    meter = UsageMeter()
    meter.begin_turn()
    meter.see({"sessionUpdate": "usage_update", "used": used, "size": 1, "cost": {"amount": used}})

    assert meter.total_tokens == 0


def test_budget_is_used_by_whichever_is_nearer_to_its_end() -> None:
    meter = UsageMeter(others=Spent(tokens=100))
    meter.begin_turn()
    meter.see(context(500, cost=0.5))

    assert Budget().share(meter.all_runs) == 0
    assert Budget(tokens=1000).share(meter.all_runs) == 0.6
    assert Budget(tokens=1000, cost=0.5).share(meter.all_runs) == 1
    assert Budget(tokens=1000, cost=2).describe(meter.all_runs) == (
        "600 of 1000 tokens and 0.50 of 2.00 US dollars"
    )


def test_usage_is_found_where_an_agent_keeps_it() -> None:
    meta = {"quota": {"token_count": {"input_tokens": 3000, "output_tokens": 300}}}

    assert usage_in_meta(meta, "quota.token_count") == usage(3300, input_tokens=3000, output_tokens=300)


@pytest.mark.parametrize(
    ("meta", "path"),
    [
        (None, "quota"),
        ({}, "quota"),
        ({"quota": 7}, "quota.token_count"),
        ({"quota": {}}, "quota"),
        ({"quota": {"input_tokens": "7"}}, "quota"),
        ({"input_tokens": 7}, None),
    ],
)
def test_no_usage_is_found_where_there_is_none(meta: dict[str, object] | None, path: str | None) -> None:
    assert usage_in_meta(meta, path) is None
