"""Runs that are taken from their worker before the agent has started, with git that hangs in the clone."""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select, update

from app.agents.git.mirrors import Mirrors
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.config import Settings
from app.db import create_engine, create_session_factory, unit_of_work
from app.enums import CommandStatus, RunStatus
from app.models import Run
from app.outages import DatabaseUnavailable
from app.services.retrying.policies import DATABASE
from app.services.runs import run_lifecycle
from app.services.runs.lost_runs import recover_runs
from app.services.runs.run_lifecycle import Claim
from app.worker.jobs.execute_run import execute_run
from app.worker.run.log_recorder import RunLog
from app.worker.run.run_claim import claim_run
from app.worker.run.stored_commands import StoredCommands
from tests.fixtures.worker import Repositories, Workshop
from tests.support.clock import let_time_pass
from tests.support.database.faults import unacknowledged_once
from tests.support.stand_ins.outage import behind, interruptible
from tests.support.waiting import eventually
from tests.worker.pilot import Pilot

WORK = "```file path=hello.txt\nHello\n```"


class HangingRepository:
    """A repository that makes its first reader wait: its HEAD is a pipe until it is mended."""

    def __init__(self, folder: Path) -> None:
        self._head = folder / "HEAD"
        self._content = self._head.read_text()
        self._head.unlink()
        os.mkfifo(self._head)

    async def until_read(self) -> None:
        """Return once git waits for what the pipe gives."""

        async def is_read() -> bool:
            with suppress(OSError):
                self._pipe = os.open(self._head, os.O_WRONLY | os.O_NONBLOCK)
                return True
            return False

        await eventually(is_read)

    def mend(self) -> None:
        """Behave like any other repository to the next reader; one that waits goes on waiting."""
        self._head.unlink()
        self._head.write_text(self._content)

    def answer(self) -> None:
        """Let go on who waits."""
        os.write(self._pipe, self._content.encode())
        os.close(self._pipe)


@pytest.fixture
def hanging(repositories: Repositories, tmp_path: Path) -> HangingRepository:
    repositories.create("acme/app", {"README.md": "Acme\n"})
    return HangingRepository(tmp_path / "repositories" / "acme" / "app")


def another_worker(workshop: Workshop, home: Path) -> Workshop:
    """Return a worker on another machine."""
    other = workshop.with_process(
        settings=workshop.context.process.settings.model_copy(update={"home": home})
    )
    mirrors = Mirrors(other.context.process.settings.mirrors_path, os.environ, max_bytes=2**30)
    return replace(other, context=replace(other.context, mirrors=mirrors))


async def log_of(workshop: Workshop, run: Run) -> str:
    return await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)


async def test_run_of_a_worker_lost_in_the_clone_is_performed_by_the_next(
    workshop: Workshop, hanging: HangingRepository, tmp_path: Path
) -> None:
    process = workshop.context.process
    run = await workshop.queued_run(WORK, repository="acme/app")
    lost = asyncio.create_task(execute_run(workshop.arq_context, run_id=str(run.id)))
    await hanging.until_read()
    async with unit_of_work(workshop.sessions) as session:
        await session.execute(update(Run).where(Run.id == run.id).values(lease_expires_at=utcnow()))

    await recover_runs(process)

    waiting = await workshop.read(run)
    assert (waiting.status, waiting.attempts, waiting.error_message) == (RunStatus.QUEUED, 1, None)
    assert waiting.facts["recovery"].items() >= {"decision": "queued again", "reason": "worker lost"}.items()
    assert "agent_started_at" not in waiting.facts

    hanging.mend()
    await execute_run(another_worker(workshop, tmp_path / "other").arq_context, run_id=str(run.id))
    # What the lost one still does changes nothing.
    hanging.answer()
    await lost

    ended = await workshop.read(run)
    assert (ended.status, ended.attempts, ended.error_message) == (RunStatus.COMPLETED, 2, None)
    assert ended.output is not None
    assert ended.output["files_changed"] == ["hello.txt"]
    assert "agent_started_at" in ended.facts
    assert (await log_of(workshop, run)).count("Starting the agent") == 1


async def test_agent_of_a_run_that_was_cancelled_in_the_clone_is_not_started(
    workshop: Workshop, hanging: HangingRepository
) -> None:
    """The worker gets no signal, as while Redis is away: it finds out when it is about to start the agent."""
    process = workshop.context.process
    run = await workshop.queued_run(WORK, repository="acme/app")
    job = asyncio.create_task(execute_run(workshop.arq_context, run_id=str(run.id)))
    await hanging.until_read()
    async with unit_of_work(workshop.sessions) as session:
        await run_lifecycle.set_status(session, run.id, RunStatus.CANCELLED, events=process.events)
    hanging.mend()
    hanging.answer()
    await job

    ended = await workshop.read(run)
    assert (ended.status, ended.artifacts, ended.output) == (RunStatus.CANCELLED, [], None)
    assert "agent_started_at" not in ended.facts
    log = await log_of(workshop, run)
    assert "Working from main" in log
    assert "Starting the agent" not in log


async def test_run_of_a_worker_that_cannot_record_the_agents_start_is_left_to_the_sweep(
    workshop: Workshop,
    hanging: HangingRepository,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = await workshop.queued_run(WORK, repository="acme/app")
    async with interruptible(settings.database_url) as between:
        through = settings.model_copy(update={"database_url": behind(between, settings.database_url)})
        engine = create_engine(through, application_name="taskbeacon-tests")
        cut_off = workshop.with_process(sessions=create_session_factory(engine)).with_times(brief_store=0)
        job = asyncio.create_task(execute_run(cut_off.arq_context, run_id=str(run.id)))
        await hanging.until_read()
        await between.refuse()
        hanging.mend()
        hanging.answer()
        await eventually(lambda: DATABASE.event in caplog.text)
        let_time_pass(monkeypatch, seconds=DATABASE.within)
        with pytest.raises(DatabaseUnavailable):
            await job
        await engine.dispose()

    assert "run.unexpected_error" not in caplog.text
    left = await workshop.read(run)
    assert (left.status, left.error_message) == (RunStatus.IN_PROGRESS, None)
    assert "agent_started_at" not in left.facts


async def test_claim_with_an_unacknowledged_commit_is_the_only_one(workshop: Workshop) -> None:
    """Regression: the repetition claimed a second run, and the first waited for the end of its lease."""
    for _ in range(2):
        await workshop.queued_run("```say\nhi\n```")

    with unacknowledged_once() as lost:
        claim = await claim_run(workshop.context)

    assert lost
    assert claim is not None
    async with unit_of_work(workshop.sessions) as session:
        held = await session.execute(
            select(Run.id, Run.lease_owner).where(Run.status == RunStatus.IN_PROGRESS)
        )
    assert held.all() == [(claim.run_id, claim.owner)]


async def test_repeated_claim_takes_the_next_run_if_the_first_try_claimed_none(workshop: Workshop) -> None:
    await workshop.queued_run("```say\nhi\n```")
    first = await claim_run(workshop.context)

    assert first is not None
    assert await claim_run(workshop.context) is None


async def test_command_gets_its_receipt_though_the_commit_is_not_acknowledged(
    workshop: Workshop,
) -> None:
    """Regression: the repetition found the command finished, and its receipt was never written."""
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```"))
    claim = await claim_run(workshop.context)
    assert claim is not None
    await pilot.say("go on")
    receipts: list[str] = []

    async def send(_lines: bytes) -> None:
        pass

    with tempfile.TemporaryFile() as file:
        log = RunLog(
            lambda entry: receipts.append(orjson.loads(entry)["notification"]["params"]["status"]), send, file
        )
        async with opened(workshop, claim, log) as inbox:
            [command] = await inbox.fetch()
            assert await inbox.settle(command, CommandStatus.DELIVERED)
            with unacknowledged_once() as lost:
                assert await inbox.settle(command, CommandStatus.CONSUMED)
            assert lost
            assert not await inbox.settle(command, CommandStatus.CONSUMED)

    assert receipts == ["accepted", "delivered", "consumed"]
    assert await pilot.statuses() == ["consumed"]


def opened(workshop: Workshop, claim: Claim, log: RunLog) -> StoredCommands:
    async def nothing() -> None:
        pass

    return StoredCommands(workshop.context, claim, log, Path("unused"), before_message=nothing)


@asynccontextmanager
async def inbox_of(workshop: Workshop) -> AsyncGenerator[StoredCommands, None]:
    """Claim the next run, and yield the commands that its worker receives."""
    claim = await claim_run(workshop.context)
    assert claim is not None

    async def send(_lines: bytes) -> None:
        pass

    with tempfile.TemporaryFile() as file:
        log = RunLog(lambda _entry: None, send, file)
        async with opened(workshop, claim, log) as inbox:
            yield inbox


async def stop_worker(workshop: Workshop, run: Run) -> None:
    """Hand a run back, as a worker that is stopped does."""
    held = await workshop.read(run)
    events = workshop.context.process.events
    async with unit_of_work(workshop.sessions) as session:
        assert await run_lifecycle.hand_back(session, run.id, owner=held.lease_owner or "", events=events)


async def test_cancel_that_was_dropped_under_an_earlier_worker_cancels_no_later_agent(
    workshop: Workshop,
) -> None:
    """Regression: a run that failed at its second worker ended as cancelled."""
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```"))
    async with inbox_of(workshop) as inbox:
        await pilot.send("cancel")
        [command] = await inbox.fetch()
        await inbox.settle(command, CommandStatus.DROPPED, "The agent was doing nothing.")
        await stop_worker(workshop, pilot.run)

    async with inbox_of(workshop) as inbox:
        assert await inbox.end() is False


async def test_commands_that_the_end_of_an_agent_dropped_are_open_again_if_its_worker_is_stopped(
    workshop: Workshop,
) -> None:
    """Regression: a message, and a cancel that had decided the run, were lost while the work was gathered."""
    pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```"))
    async with inbox_of(workshop) as inbox:
        held = await workshop.read(pilot.run)
        async with unit_of_work(workshop.sessions) as session:
            owner = held.lease_owner or ""
            assert await run_lifecycle.mark_agent_started(session, pilot.run.id, owner=owner)
        await pilot.say("go on")
        await pilot.send("cancel")
        assert await inbox.end() is True
        assert await pilot.statuses() == ["dropped", "dropped"]

        await stop_worker(workshop, pilot.run)

    assert await pilot.statuses() == ["accepted", "accepted"]
