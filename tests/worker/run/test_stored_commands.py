"""Commands that reach a run together, and commands of a run that has several workers (ADR 18)."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agents.adapters.catalog import Catalog
from app.clock import utcnow
from app.db import unit_of_work
from app.dialogue.shown_questions import ShownQuestion
from app.enums import CommandStatus, QuestionKind, RunStatus
from app.ids import new_id
from app.models import Event, Question, Run
from app.schemas.runs.commands import CommandIn
from app.schemas.runs.run import RunUpdateIn
from app.services.enqueueing import EXECUTE_RUN
from app.services.runs import run_lifecycle
from app.services.runs.command_acceptance import send_command
from app.services.runs.lost_runs import recover_runs
from app.services.runs.run_edits import update_run
from app.worker.run.stored_commands import StoredCommands
from tests.agents.conftest import scripted_adapter
from tests.fixtures.worker import Workshop
from tests.support.database.faults import cut_once
from tests.support.marked import processes_with
from tests.support.waiting import eventually
from tests.worker.pilot import Pilot, listening
from tests.worker.run.test_run_claim import inbox_of, stop_worker


@pytest.fixture(autouse=True)
async def woken(workshop: Workshop) -> AsyncGenerator[None, None]:
    async with listening(workshop):
        yield


async def send_together(workshop: Workshop, pilot: Pilot, *commands: tuple[str, dict[str, Any]]) -> None:
    """Send commands that the worker reads together, as those of two clients within a millisecond."""
    async with unit_of_work(workshop.sessions) as session:
        for method, params in commands:
            body = CommandIn.model_validate({"jsonrpc": "2.0", "method": method, "params": params})
            run = pilot.run
            clients = workshop.context.process
            await send_command(session, pilot.caller(), run.task_id, run.id, body, clients)


async def settle_all(
    workshop: Workshop,
    run: Run,
    inbox: StoredCommands,
    *,
    agent: bool,
    status: CommandStatus = CommandStatus.CONSUMED,
    reason: str | None = None,
) -> None:
    """Bring all open commands of a run to this status; with `agent`, its agent has started."""
    if agent:
        held = await workshop.read(run)
        async with unit_of_work(workshop.sessions) as session:
            assert await run_lifecycle.mark_agent_started(session, run.id, owner=held.lease_owner or "")
    for command in await inbox.fetch():
        assert await inbox.settle(command, CommandStatus.DELIVERED, reason)
        assert status is CommandStatus.DELIVERED or await inbox.settle(command, status, reason)


@pytest.mark.parametrize("end", ["stopped", "lost"])
async def test_commands_that_the_end_of_a_failed_clone_dropped_are_open_again_at_the_next_worker(
    workshop: Workshop, end: str
) -> None:
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```"))
    async with inbox_of(workshop) as inbox:
        await pilot.say("go on")
        await pilot.send("cancel")
        assert await inbox.end() is True
        if end == "stopped":
            await stop_worker(workshop, pilot.run)
        else:
            async with unit_of_work(workshop.sessions) as session:
                await session.execute(update(Run).values(lease_expires_at=utcnow()))
            await recover_runs(workshop.context.process)
    assert (await workshop.read(pilot.run)).status == RunStatus.QUEUED

    assert await pilot.statuses() == ["accepted", "accepted"]


async def test_cancel_of_a_turn_is_not_sent_to_a_later_agent(workshop: Workshop) -> None:
    """The first worker is stopped after the turn, and the second while it clones."""
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state={"mode": "interactive"}))
    async with inbox_of(workshop) as inbox:
        await pilot.send("cancel")
        await settle_all(workshop, pilot.run, inbox, agent=True)
        await stop_worker(workshop, pilot.run)
    assert await pilot.statuses() == ["consumed"]
    async with inbox_of(workshop) as inbox:
        await stop_worker(workshop, pilot.run)

    assert await pilot.statuses() == ["consumed"]


async def test_message_sent_with_a_cancel_reaches_the_agent_though_a_connection_is_lost(
    workshop: Workshop, engine: AsyncEngine
) -> None:
    mark = f"taskbeacon-{new_id()}"
    pilot = Pilot(workshop, await workshop.queued_run(f"```sh\nsh -c 'sleep 86400; : {mark}'\n```"))
    job = pilot.start()
    await eventually(lambda: processes_with(mark))
    with cut_once(engine, "UPDATE run_commands") as cut:
        message = {"content": "```say\ninstead\n```", "artifact_ids": []}
        await send_together(workshop, pilot, ("cancel", {}), ("user_message", message))
        await job
    assert cut
    ended = await workshop.read(pilot.run)
    assert (ended.status, (ended.output or {})["summary"]) == (RunStatus.COMPLETED, "instead")


async def test_no_question_for_a_message_is_open_while_the_agent_works(
    workshop: Workshop, engine: AsyncEngine
) -> None:
    workshop = workshop.with_waiting_runs(4)
    mark, other = f"taskbeacon-{new_id()}", f"taskbeacon-{new_id()}"
    description = f"```sh\nsh -c 'sleep 86400; : {mark}'\n```"
    pilot = Pilot(workshop, await workshop.queued_run(description, state={"mode": "interactive"}))
    job = pilot.start()
    await eventually(lambda: processes_with(mark))
    with cut_once(engine, "UPDATE run_commands") as cut:
        message = {"content": f"```sh\nsh -c 'sleep 86400; : {other}'\n```", "artifact_ids": []}
        await send_together(workshop, pilot, ("cancel", {}), ("user_message", message))
        await eventually(lambda: processes_with(other))
    assert cut
    async with unit_of_work(workshop.sessions) as session:
        statuses = list(await session.scalars(select(Question.status).where(Question.run_id == pilot.run.id)))
    state, freed = await pilot.state(), workshop.context.slots.freed
    await pilot.send("close")
    await job

    assert ("waiting_for" in state, "open" in statuses, freed) == (False, False, 0)


async def test_run_that_goes_on_waiting_after_a_cancel_keeps_its_slot_free(workshop: Workshop) -> None:
    """A cancel ends no waiting: it is dropped."""
    workshop = workshop.with_waiting_runs(4)
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state={"mode": "interactive"}))
    job = pilot.start()
    await pilot.until_waiting_for("message")
    before = workshop.context.slots.freed
    await pilot.send("cancel")
    await pilot.until_logged("doing nothing")
    after = workshop.context.slots.freed
    await pilot.send("close")
    await job

    assert (before, after) == (1, 1)


async def test_commands_from_before_a_run_was_opened_again_are_not_sent_again(workshop: Workshop) -> None:
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state={"mode": "interactive"}))
    events = workshop.context.process.events
    async with inbox_of(workshop) as inbox:
        await pilot.say("one")
        await pilot.send("close")
        await settle_all(workshop, pilot.run, inbox, agent=True)
        held = await workshop.read(pilot.run)
        async with unit_of_work(workshop.sessions) as session:
            end = run_lifecycle.RunEnd(status=RunStatus.COMPLETED)
            owner = held.lease_owner or ""
            assert await run_lifecycle.finish(session, pilot.run.id, end, owner=owner, events=events)
    async with unit_of_work(workshop.sessions) as session:
        await run_lifecycle.reopen(session, pilot.run.id, events=events)
    async with inbox_of(workshop) as inbox:
        await settle_all(workshop, pilot.run, inbox, agent=True)
        await stop_worker(workshop, pilot.run)

    assert await pilot.statuses() == ["consumed", "consumed"]


async def test_closed_conversation_of_a_stopped_worker_is_not_cancelled_by_the_next(
    workshop: Workshop,
) -> None:
    mark = f"taskbeacon-{new_id()}"
    run = await workshop.queued_run("```file path=a.txt\na\n```", state={"mode": "interactive"})
    stopped = Pilot(workshop.gathering_by(f"sleep 86400; : {mark}"), run)
    job = stopped.start()
    await stopped.until_waiting_for("message")
    await stopped.send("close")
    await eventually(lambda: processes_with(mark))
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (await workshop.read(run)).status == RunStatus.QUEUED
    await Pilot(workshop, run).start()

    ended = await workshop.read(run)
    assert (ended.status, (ended.output or {}).get("files_changed")) == (RunStatus.COMPLETED, ["a.txt"])


async def test_close_beside_a_repeated_one_is_stored(workshop: Workshop) -> None:
    """The repeated one lets the agent work its turn; a person's stops it."""
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state={"mode": "interactive"}))
    async with inbox_of(workshop) as inbox:
        await pilot.send("close")
        await settle_all(workshop, pilot.run, inbox, agent=True)
        await stop_worker(workshop, pilot.run)
    async with inbox_of(workshop) as inbox:
        await pilot.send("close")
        assert [command.is_repeated for command in await inbox.fetch()] == [True, False]


@pytest.mark.parametrize(
    ("mode", "method", "status", "reason", "expected"),
    [
        # A cancel of a turn is over with the turn; one that ended the run must end it again.
        ("interactive", "cancel", CommandStatus.DELIVERED, None, []),
        ("interactive", "cancel", CommandStatus.CONSUMED, None, []),
        ("interactive", "cancel", CommandStatus.CONSUMED, "It ended the run.", [False]),
        ("background", "cancel", CommandStatus.DELIVERED, None, [False]),
        ("background", "cancel", CommandStatus.CONSUMED, None, []),
        ("background", "cancel", CommandStatus.CONSUMED, "It ended the run.", [False]),
        # A close of a conversation lets the next agent work; one that ended the run does not.
        ("interactive", "close", CommandStatus.DELIVERED, None, [True]),
        ("interactive", "close", CommandStatus.CONSUMED, None, [True]),
        ("interactive", "close", CommandStatus.CONSUMED, "It ended the run.", [False]),
    ],
)
async def test_stop_reaches_the_next_worker_as_its_effect_demands(
    workshop: Workshop,
    mode: str,
    method: str,
    status: CommandStatus,
    reason: str | None,
    expected: Sequence[bool],
) -> None:
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state={"mode": mode}))
    async with inbox_of(workshop) as inbox:
        await pilot.send(method)
        await settle_all(workshop, pilot.run, inbox, agent=True, status=status, reason=reason)
        await stop_worker(workshop, pilot.run)
    async with inbox_of(workshop) as inbox:
        assert [command.is_repeated for command in await inbox.fetch()] == expected


async def test_no_question_for_a_message_is_open_while_the_agent_corrects_its_output(
    workshop: Workshop,
) -> None:
    process = workshop.context.process
    shipped = process.catalog
    actor = Catalog(dict(shipped.adapters) | {"actor": scripted_adapter("output")}, shipped.choices)
    settings = process.settings.model_copy(update={"run_idle_seconds": 1})
    shop = workshop.with_process(catalog=actor, settings=settings)
    state = {"mode": "interactive", "runtime_adapter": "actor", "model": "m"}
    schema = {"type": "object", "required": ["n"]}
    pilot = Pilot(shop, await shop.queued_run("no JSON", state=state, json_schema=schema))
    await pilot.start()

    assert (await shop.read(pilot.run)).output == {"n": 1}
    async with unit_of_work(shop.sessions) as session:
        events = (await session.execute(select(Event.type, Event.data).order_by(Event.seq))).all()
    types = [event.type for event in events]
    closed = types.index("question.expired")
    assert types[closed : closed + 2] == ["question.expired", "run.resumed"]
    assert events[closed + 1].data == {"kind": "message"}


async def test_cancel_that_the_end_of_a_conversation_drops_does_not_cancel_the_run(
    workshop: Workshop,
) -> None:
    """The conversation has read it, and has decided to end: its result counts."""
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```"))
    async with inbox_of(workshop) as inbox:
        await pilot.send("cancel")
        assert len(await inbox.fetch()) == 1
        assert await inbox.close()
        assert not await inbox.end()
    assert await pilot.statuses() == ["dropped"]


async def test_run_takes_its_slot_back_when_its_conversation_ends(workshop: Workshop) -> None:
    workshop = workshop.with_waiting_runs(4)
    await workshop.queued_run("```say\nhi\n```", state={"mode": "interactive"})
    async with inbox_of(workshop) as inbox:
        assert await inbox.await_message(ShownQuestion(kind=QuestionKind.MESSAGE, title="t", detail="d"))
        assert workshop.context.slots.freed == 1
        assert await inbox.close()
        assert workshop.context.slots.freed == 0


async def test_agent_after_a_patch_to_queued_gets_the_commands_of_the_replaced_one(
    workshop: Workshop,
) -> None:
    """Regression: it did not, and had no job. The start of the replaced agent stayed in the state."""
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state={"mode": "interactive"}))
    first = pilot.start()
    await pilot.until_waiting_for("message")
    await pilot.say("```file path=a.txt\na\n```")
    await pilot.until_logged("a.txt")
    await pilot.until_waiting_for("message")
    async with unit_of_work(workshop.sessions) as session:
        body = RunUpdateIn(status=RunStatus.QUEUED)
        clients, run = workshop.context.process, pilot.run
        await update_run(session, pilot.caller(), run.task_id, run.id, body, clients=clients)
    await first
    returned = await workshop.read(pilot.run)
    assert (returned.status, await pilot.statuses()) == (RunStatus.QUEUED, ["accepted"])
    assert returned.state.keys() == {"mode"}
    jobs = [job.arguments for job in workshop.queue.jobs if job.name == EXECUTE_RUN]
    assert jobs == [{"run_id": str(pilot.run.id)}]

    second = pilot.start()
    await pilot.until_waiting_for("message")
    await pilot.send("close")
    await second

    ended = await workshop.read(pilot.run)
    assert (ended.status, (ended.output or {})["files_changed"]) == (RunStatus.COMPLETED, ["a.txt"])
