"""Cancel means stop: the agent ends at once, its log and what it did are kept, and the cancel stays."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import nullcontext, suppress
from functools import partial

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import create_redis
from app.clients.storage.storage_keys import RunRef
from app.clients.wakes import publish_change
from app.clock import utcnow
from app.config import Settings
from app.db import create_engine, create_session_factory, unit_of_work
from app.enums import CommandStatus, RunStatus
from app.errors import StateRefused
from app.ids import new_id
from app.models import Run
from app.services.enqueueing import wake_run_worker_after_commit
from app.services.runs import run_lifecycle
from app.worker.jobs.execute_run import execute_run
from app.worker.run.lease_and_handback import LeaseLost, hold_lease
from tests.fixtures.worker import Workshop
from tests.support.callers import bearer
from tests.support.clock import let_time_pass
from tests.support.deployment.processes import closed_port
from tests.support.factories import make_key
from tests.support.marked import processes_with
from tests.support.waiting import eventually, patient
from tests.support.web.clients import in_process_client
from tests.worker.pilot import Pilot, listening
from tests.worker.private_host import TOKEN, WORK, Host


@pytest.fixture(autouse=True)
async def subscription(workshop: Workshop) -> AsyncGenerator[None, None]:
    """The worker's one subscription."""
    async with listening(workshop):
        yield


@pytest.fixture
def nap() -> str:
    """The seconds that a step of this test sleeps: a number that no other process of this machine has."""
    return f"86400.{new_id().int % 10**12:012}"


@pytest.fixture
def endless(nap: str) -> str:
    """Work that ignores SIGTERM, and so does its shell."""
    return f"```file path=half.txt\nhalf done\n```\n```sh\ntrap '' TERM; sleep {nap}; sleep {nap}\n```"


async def until_asleep(nap: str) -> None:
    await eventually(lambda: processes_with(f"sleep\0{nap}"))


async def cancel(workshop: Workshop, run: Run) -> None:
    async with unit_of_work(workshop.sessions) as session:
        await run_lifecycle.set_status(
            session, run.id, RunStatus.CANCELLED, events=workshop.context.process.events
        )
        wake_run_worker_after_commit(session, workshop.context.process.redis, run.id)


async def test_agent_of_a_cancelled_run_ends_at_once_and_its_log_and_patch_are_kept(
    workshop: Workshop, nap: str, endless: str
) -> None:
    """Without the time that an agent otherwise has to end."""
    workshop = workshop.with_times(close=3600)
    run = await workshop.queued_run(endless)
    job = asyncio.create_task(execute_run(workshop.arq_context, run_id=str(run.id)))
    await until_asleep(nap)

    await cancel(workshop, run)
    await job

    assert processes_with(nap) == []
    ended = await workshop.read(run)
    assert (ended.status, ended.error_message) == (RunStatus.CANCELLED, None)
    assert await workshop.left_behind() == []
    assert [artifact["name"] for artifact in ended.artifacts] == ["changes.patch"]
    assert "+half done" in await workshop.stored(ended.artifacts[0]["storage_path"])
    assert "half.txt" in await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)


async def test_cancel_endpoint_wakes_the_worker_which_ends_the_agent_at_once(
    workshop: Workshop, application: FastAPI, nap: str, endless: str
) -> None:
    """Neither at the worker's next look, nor after the time that an agent otherwise has to end (contract 13.6)."""
    workshop = workshop.with_times(poll=3600, close=3600, cancel=3600, interrupt=3600)
    run = await workshop.queued_run(endless)
    async with unit_of_work(workshop.sessions) as session:
        key = await make_key(session, user=workshop.owner)
    client = in_process_client(application, headers=bearer(key))
    url = f"/api/projects/{run.project_id}/tasks/{run.task_id}/runs/{run.id}"
    job = asyncio.create_task(execute_run(workshop.arq_context, run_id=str(run.id)))
    await until_asleep(nap)

    with workshop.context.changes.watch(run.id) as changed:
        answer = await client.post(f"{url}/cancel", json={"reason": "Enough"})
        await eventually(changed.is_set)
    await job

    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert processes_with(nap) == []
    ended = (await client.get(url)).json()
    assert (ended["status"], ended["error_message"]) == ("cancelled", "Enough")
    assert [artifact["name"] for artifact in ended["artifacts"]] == ["changes.patch"]


async def test_cancel_ends_the_gathering_of_work(workshop: Workshop, nap: str) -> None:
    workshop = workshop.gathering_by(f"trap '' TERM; sleep {nap}; sleep {nap}")
    run = await workshop.queued_run("```say\nhi\n```")
    job = asyncio.create_task(execute_run(workshop.arq_context, run_id=str(run.id)))
    await until_asleep(nap)

    await cancel(workshop, run)
    await job

    assert processes_with(nap) == []
    assert (await workshop.read(run)).status == RunStatus.CANCELLED
    log = await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
    assert "The agent's work is left out: The run was stopped." in log


def with_a_minute(workshop: Workshop) -> Workshop:
    """Return the workshop with a time limit of a minute for runs."""
    settings = workshop.context.process.settings.model_copy(update={"run_timeout_seconds": 60})
    return workshop.with_process(settings=settings)


async def test_cancel_is_refused_while_the_work_of_a_run_that_timed_out_is_gathered(
    workshop: Workshop, nap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was answered with 200 and had no effect: the gathering went on to its own limit, for two minutes."""
    workshop = with_a_minute(workshop).gathering_by(f"trap '' TERM; sleep {nap}; sleep {nap}")
    pilot = Pilot(workshop, await workshop.queued_run("```sh\ntouch started; sleep 4711.5\n```"))
    job = pilot.start()
    await pilot.until_logged("Starting the agent")
    let_time_pass(monkeypatch, minutes=1)
    await until_asleep(nap)

    with pytest.raises(StateRefused, match="No active sandbox"):
        await pilot.send("cancel")
    assert "agent_ended_at" in await pilot.state()
    await cancel(workshop, pilot.run)
    await job

    assert processes_with(nap) == []
    assert (await workshop.read(pilot.run)).status == RunStatus.CANCELLED


async def test_cancel_that_no_agent_has_obeyed_cancels_a_run_that_timed_out(
    workshop: Workshop, endless: str, nap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was accepted before the agent's end was stored, and then only dropped: the run failed."""
    # No wake-up arrives, and the worker's next look is far away.
    patient = with_a_minute(workshop).with_times(poll=3600)
    away = create_redis(f"redis://127.0.0.1:{closed_port()}/0")
    pilot = Pilot(patient, await workshop.queued_run(endless), redis=away)
    job = pilot.start()
    await until_asleep(nap)
    assert await pilot.send("cancel") == {"jsonrpc": "2.0", "result": {"queued": True}}
    let_time_pass(monkeypatch, minutes=1)
    await job
    await away.aclose()

    ended = await workshop.read(pilot.run)
    assert (ended.status, ended.error_message) == (RunStatus.CANCELLED, None)
    assert [artifact["name"] for artifact in ended.artifacts] == ["changes.patch"]
    assert await pilot.statuses() == [CommandStatus.DROPPED]
    receipts = [report for report in await pilot.reports() if report[0] != "ended"]
    assert len(receipts) == 1


async def test_cancel_ends_the_publishing_of_a_pull_request(host: Host) -> None:
    """The host has the branch by now; it was given a pull request of a cancelled run."""
    integration = await host.integrate(token=TOKEN)
    run = await host.workshop.queued_run(WORK, repository="acme/app", github_integration_id=integration.id)
    asked, over = asyncio.Event(), asyncio.Event()

    async def hold_answer() -> None:
        if host.service.asked("GET", "/pulls"):
            asked.set()
            await over.wait()

    host.service.while_clients_wait = hold_answer
    job = asyncio.create_task(execute_run(host.workshop.arq_context, run_id=str(run.id)))
    await asked.wait()
    await cancel(host.workshop, run)
    await asyncio.wait({job}, timeout=20)
    over.set()
    await job

    ended = await host.workshop.read(run)
    assert ended.status == RunStatus.CANCELLED
    assert [artifact["name"] for artifact in ended.artifacts] == ["changes.patch"]
    assert host.service.pulls == []


async def test_heartbeat_that_fails_unexpectedly_ends_the_work(workshop: Workshop) -> None:
    """The heartbeat has a database without tables; an agent that continued would have no worker."""
    process = workshop.context.process
    empty = process.settings.model_copy(update={"database_url": Settings().database_url})
    engine = create_engine(empty, application_name="taskbeacon-tests")
    run_id = new_id()
    sessions, changes = create_session_factory(engine), workshop.context.changes
    async with hold_lease(
        sessions,
        changes,
        run_id,
        partial(run_lifecycle.extend_lease, run_id=run_id, owner="job"),
        since=utcnow(),
    ) as lost:
        await publish_change(process.redis, run_id)

        async def is_lost() -> bool:
            return lost.is_set()

        await eventually(is_lost)
    await engine.dispose()


async def test_work_that_ends_as_its_lease_is_lost_is_not_cut_off(workshop: Workshop) -> None:
    """Regression: it was cancelled after its end, and a minute later."""
    context, run_id = workshop.context, new_id()
    is_extending = asyncio.Event()

    async def extend(_session: AsyncSession) -> bool:
        # A driver can hide a cancellation in the same way.
        with suppress(asyncio.CancelledError):
            is_extending.set()
            await asyncio.Event().wait()
        return False

    async def work(lost: list[asyncio.Event]) -> None:
        async with hold_lease(workshop.sessions, context.changes, run_id, extend, since=utcnow()) as event:
            lost.append(event)
            await publish_change(context.process.redis, run_id)
            await is_extending.wait()

    lost: list[asyncio.Event] = []
    working = asyncio.create_task(work(lost))
    await is_extending.wait()
    await lost[0].wait()

    async with asyncio.timeout(patient(30)):
        await working
    assert working.cancelling() == 0


async def test_work_that_does_not_end_is_cut_off_and_may_hide_it(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: what had ended all the same, by hiding the cancellation, counted as cancelled from then on."""
    context, run_id = workshop.context, new_id()

    async def lose(_session: AsyncSession) -> bool:
        return False

    async def work(is_lost: asyncio.Event, *, hides: bool) -> int:
        async with hold_lease(workshop.sessions, context.changes, run_id, lose, since=utcnow()) as lost:
            await publish_change(context.process.redis, run_id)
            await lost.wait()
            is_lost.set()
            with suppress(asyncio.CancelledError) if hides else nullcontext():
                await asyncio.Event().wait()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    for hides in (True, False):
        is_lost = asyncio.Event()
        working = asyncio.create_task(work(is_lost, hides=hides))
        await is_lost.wait()
        let_time_pass(monkeypatch, minutes=1)
        if hides:
            assert await working == 0
        else:
            with pytest.raises(LeaseLost):
                await working


async def test_run_that_was_taken_over_gets_nothing_of_the_old_agent(
    workshop: Workshop, nap: str, endless: str
) -> None:
    run = await workshop.queued_run(endless)
    job = asyncio.create_task(execute_run(workshop.arq_context, run_id=str(run.id)))
    await until_asleep(nap)

    async with unit_of_work(workshop.sessions) as session:
        await run_lifecycle.set_status(
            session, run.id, RunStatus.QUEUED, events=workshop.context.process.events
        )
        wake_run_worker_after_commit(session, workshop.context.process.redis, run.id)
    await job

    left = await workshop.read(run)
    assert (left.status, left.lease_owner, left.artifacts, left.output) == (RunStatus.QUEUED, None, [], None)
