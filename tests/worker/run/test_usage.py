"""Usage on the run and against the budget of its task, with agents that report it."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agents.adapters.catalog import Catalog, load_catalog
from app.agents.session.usage_meter import UsageMeter
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.db import unit_of_work
from app.enums import EventType, RunStatus
from app.models import Event, Run
from app.services.runs.run_lifecycle import Claim
from app.services.runs.usage import spent_by_others
from app.worker.jobs.execute_run import execute_run
from app.worker.run.run_executor import record_usage
from tests.agents.conftest import scripted_adapter
from tests.fixtures.worker import Workshop
from tests.support.database.faults import refusing_reads
from tests.support.factories import make_run
from tests.support.waiting import eventually

STATE = {"mode": "background", "runtime_adapter": "actor", "model": "m"}


def with_actor(workshop: Workshop, **settings: object) -> Workshop:
    """Return a workshop with an agent that spends what the task says."""
    shipped = load_catalog()
    catalog = Catalog(
        dict(shipped.adapters) | {"actor": scripted_adapter("spend")}, (*shipped.choices, "actor")
    )
    process = workshop.context.process
    changed = replace(process, catalog=catalog, settings=process.settings.model_copy(update=settings))
    return replace(workshop, context=replace(workshop.context, process=changed))


async def test_usage_of_a_run_is_on_its_state(workshop: Workshop) -> None:
    shop = with_actor(workshop)
    run = await shop.queued_run("30 40 done", state=STATE)

    await execute_run(shop.arq_context, run_id=str(run.id))

    done = await shop.read(run)
    assert done.status == RunStatus.COMPLETED, done.error_message
    usage = done.facts["usage"]
    assert (usage["total_tokens"], usage["input_tokens"], usage["output_tokens"]) == (100, 90, 10)
    assert usage["cost"] == {"amount": 0.1, "currency": "USD"}


async def test_task_that_used_up_its_budget_fails_its_next_run(workshop: Workshop) -> None:
    shop = with_actor(workshop, task_token_budget=150)
    first = await shop.queued_run("30 40 done", state=STATE)
    await execute_run(shop.arq_context, run_id=str(first.id))
    async with unit_of_work(shop.sessions) as session:
        second = await make_run(session, task=await shop.task_of(first), state=STATE)
        second.dispatch_requested_at = second.created_at
    await execute_run(shop.arq_context, run_id=str(second.id))

    # 100 by each: a turn that came to its end is not failed for what it took.
    ended = await shop.read(second)
    assert ended.status == RunStatus.COMPLETED
    async with unit_of_work(shop.sessions) as session:
        third = await make_run(session, task=await shop.task_of(first), state=STATE)
        third.dispatch_requested_at = third.created_at
    await execute_run(shop.arq_context, run_id=str(third.id))

    refused = await shop.read(third)
    assert refused.status == RunStatus.FAILED
    assert (refused.error_message or "").startswith("The task has used up its budget: 200 of 150 tokens.")
    async with unit_of_work(shop.sessions) as session:
        of_third = (Event.run_id == third.id, Event.type == EventType.RUN_FAILED)
        data = await session.scalar(select(Event.data).where(*of_third))
    assert data == {"status": "failed", "error_type": "budget_spent"}


@pytest.mark.parametrize(
    ("tokens", "status", "logged"),
    [
        pytest.param(
            450,
            RunStatus.COMPLETED,
            "Nine tenths of the task's budget are used (900 of 1000 tokens).",
            id="wrap up",
        ),
        pytest.param(600, RunStatus.FAILED, "The task's budget is used up (1200 of 1000 tokens).", id="stop"),
    ],
)
async def test_runs_side_by_side_are_held_to_what_they_use_together(
    workshop: Workshop, tokens: int, status: RunStatus, logged: str
) -> None:
    """Neither uses it up alone, and neither reports more: each agent waits until it is ended."""
    shop = with_actor(workshop, task_token_budget=1000).with_times(usage=0.05)
    first = await shop.queued_run(str(tokens), state=STATE)
    async with unit_of_work(shop.sessions) as session:
        second = await make_run(session, task=await shop.task_of(first), state=STATE)
        second.dispatch_requested_at = second.created_at
    runs = (first, second)

    async with asyncio.timeout(240):
        await asyncio.gather(*(execute_run(shop.arq_context, run_id=str(run.id)) for run in runs))

    for run in runs:
        ended = await shop.read(run)
        assert ended.status == status, ended.error_message
        assert ended.facts["usage"]["total_tokens"] == tokens
        assert logged in await shop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)


async def test_unexpected_errors_only_delay_what_runs_see_of_each_other(
    workshop: Workshop,
    engine: AsyncEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    workshop = workshop.with_times(usage=0.01)
    run = await workshop.queued_run("x")
    async with unit_of_work(workshop.sessions) as session:
        held = {"status": RunStatus.IN_PROGRESS, "lease_owner": "job", "lease_expires_at": utcnow()}
        await session.execute(update(Run).where(Run.id == run.id).values(**held))
        await make_run(session, task=await workshop.task_of(run), facts={"usage": {"total_tokens": 150}})
    meter = UsageMeter()
    claim = Claim(run.id, run.task_id, run.project_id, "job")

    async def is_noted() -> bool:
        return (await workshop.read(run)).facts.get("usage") == meter.report()

    async with record_usage(workshop.context, claim, meter, is_shared=True):
        async with refusing_reads(engine, "runs", code="P0001"):
            meter.see({"sessionUpdate": "usage_update", "used": 10, "size": 1000})
            await eventually(lambda: "usage.not_noted" in caplog.text)
            await eventually(lambda: "usage.of_others_not_read" in caplog.text)
        await eventually(is_noted)
        await eventually(lambda: meter.all_runs.tokens == 160)


@pytest.mark.parametrize(("operators", "own", "limit"), [(0, 150, 150), (1000, 150, 150), (150, 1000, 150)])
async def test_smaller_one_of_the_runs_budget_and_the_operators_holds(
    workshop: Workshop, operators: int, own: int, limit: int
) -> None:
    shop = with_actor(workshop, task_token_budget=operators)
    first = await shop.queued_run("30 40 done", state=STATE)
    async with unit_of_work(shop.sessions) as session:
        ended = {"status": RunStatus.COMPLETED, "completed_at": utcnow()}
        spent = ended | {"facts": {"usage": {"total_tokens": 150}}}
        await session.execute(update(Run).where(Run.id == first.id).values(spent))
        second = await make_run(session, task=await shop.task_of(first), state=STATE | {"token_budget": own})
        second.dispatch_requested_at = second.created_at

    await execute_run(shop.arq_context, run_id=str(second.id))

    refused = await shop.read(second)
    assert refused.status == RunStatus.FAILED
    expected = f"The task has used up its budget: 150 of {limit} tokens."
    assert (refused.error_message or "").startswith(expected)


@pytest.mark.parametrize(
    "facts", [{}, {"usage": 5}, {"usage": {"total_tokens": "7", "cost": {"amount": None}}}]
)
async def test_runs_without_numbers_count_as_nothing(workshop: Workshop, facts: dict[str, object]) -> None:
    run = await workshop.queued_run("x")
    async with unit_of_work(workshop.sessions) as session:
        await session.execute(update(Run).where(Run.id == run.id).values(facts=facts))
        other = await make_run(session, task=await workshop.task_of(run), state={})
        spent = await spent_by_others(session, run.task_id, other.id)

    assert (spent.tokens, spent.cost) == (0, 0.0)
