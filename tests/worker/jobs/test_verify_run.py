"""Attempts whose worker dies, and members who end them: one verdict, one end of the run (contract 18.3)."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.clients.job_queue import CHECKS_QUEUE
from app.clock import utcnow
from app.db import unit_of_work
from app.enums import RunStatus
from app.ids import new_id
from app.models import Run, Verification
from app.services.enqueueing import VERIFY_RUN
from app.services.runs.lost_runs import recover_runs
from app.services.runs.run_edits import cancel_checks
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.runs.verification_attempts.verification_requests import skip
from tests.fixtures.worker import Repositories, Workshop
from tests.support.marked import processes_with
from tests.support.principals import member_of
from tests.support.waiting import eventually
from tests.worker.pilot import listening
from tests.worker.verification.test_verification_executor import define, events_of, perform, shown, verify

_NAME = "acme/shop"
_CHANGE = "```sh\necho changed > README.md\n```"


@pytest.fixture
def nap() -> str:
    """The seconds that a check of this test sleeps: a number that no other process of this machine has."""
    return f"86400.{new_id().int % 10**12:012}"


@pytest.fixture
async def delivered(workshop: Workshop, repositories: Repositories, nap: str) -> Run:
    """A run that has delivered, and waits for a check that passes and one that sleeps."""
    repositories.create(_NAME, {"README.md": "before\n"})
    await define(
        workshop,
        checks=[
            {"id": "quick", "run": ["grep", "changed", "README.md"]},
            # Passes as soon as its sleep is ended.
            {"id": "slow", "shell": f"trap '' TERM; sleep {nap} & wait; test -f README.md"},
        ],
    )
    run = await workshop.queued_run(_CHANGE, repository=_NAME)
    await perform(workshop, run)
    return run


def asleep(nap: str) -> list[int]:
    # Not the shells, whose text has a space there.
    return processes_with(f"sleep\0{nap}")


async def until_asleep(nap: str) -> None:
    await eventually(lambda: bool(asleep(nap)))


async def ends(workshop: Workshop, run: Run) -> list[tuple[str, Any]]:
    """Return the events about the end of a run and of its verification."""
    return [
        (type_, data.get("verdict"), *([data["final"]] if "final" in data else []))
        for type_, data in await events_of(workshop, run)
        if type_ in {"verification.finished", "run.completed", "run.failed", "run.cancelled"}
    ]


async def lapse(workshop: Workshop, run: Run) -> None:
    """Let the lease of the run's attempt lapse, as if its worker were dead, and recover."""
    async with unit_of_work(workshop.sessions) as session:
        lapsed = update(Verification).where(
            Verification.run_id == run.id, Verification.lease_owner.is_not(None)
        )
        await session.execute(lapsed.values(lease_expires_at=utcnow()))
    await recover_runs(workshop.context.process)


@pytest.fixture(autouse=True)
async def subscription(workshop: Workshop) -> AsyncGenerator[None, None]:
    async with listening(workshop):
        yield


async def test_attempt_of_a_lost_worker_is_repeated_and_what_the_lost_one_says_is_refused(
    workshop: Workshop, delivered: Run, nap: str
) -> None:
    lost = asyncio.create_task(verify(workshop))
    await until_asleep(nap)

    await lapse(workshop, delivered)
    second = asyncio.create_task(verify(workshop))
    await eventually(lambda: len(asleep(nap)) == 2)
    for pid in asleep(nap):
        os.kill(pid, signal.SIGKILL)
    await asyncio.gather(lost, second)

    ended = await workshop.read(delivered)
    assert (ended.status, shown(ended)["attempts"]) == (RunStatus.COMPLETED, 1)
    # Regression: those of the lost worker were there too.
    logs = {file["id"]: file["name"] for file in ended.artifacts if file["name"].endswith(".log")}
    assert sorted(logs.values()) == ["quick-attempt-1-execution-1.log", "slow-attempt-1-execution-1.log"]
    assert {one["log_artifact_id"] for check in shown(ended)["checks"] for one in check["runs"]} == set(logs)
    assert await ends(workshop, delivered) == [
        ("verification.finished", "verified", True),
        ("run.completed", "verified"),
    ]


async def test_attempt_that_loses_three_workers_is_inconclusive_and_its_run_completes(
    workshop: Workshop, delivered: Run
) -> None:
    for _ in range(3):
        async with unit_of_work(workshop.sessions) as session:
            claimed = await verification_lifecycle.claim(session, owner="lost")
        assert claimed is not None
        await lapse(workshop, delivered)

    ended = await workshop.read(delivered)
    assert ended.output is not None
    checks = shown(ended)["checks"]
    assert [(check["status"], check["cause"]) for check in checks] == [("error", "worker")] * 2
    assert await ends(workshop, delivered) == [
        ("verification.finished", "inconclusive", True),
        ("run.completed", "inconclusive"),
    ]
    async with unit_of_work(workshop.sessions) as session:
        assert await verification_lifecycle.claim(session, owner="late") is None


async def test_check_that_has_ended_shows_its_status_and_its_output_while_others_run(
    workshop: Workshop, delivered: Run, nap: str
) -> None:
    """Regression: it went on as `waiting`, and all output was held in memory to the end of the attempt."""
    job = asyncio.create_task(verify(workshop))
    await until_asleep(nap)

    running = await workshop.read(delivered)
    quick, slow = shown(running)["checks"]
    assert (quick["status"], quick["exit_code"], slow["status"]) == ("passed", 0, "running")
    [log] = [file for file in running.artifacts if file["name"] == "quick-attempt-1-execution-1.log"]
    assert await workshop.stored(log["storage_path"]) == "changed\n"
    assert [one["log_artifact_id"] for one in quick["runs"]] == [log["id"]]

    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


DOUBTS = [
    ("late", "check_timeout", ""),
    ("red", "base_unknown", "exit code 1"),
    ("slow", "check_error", "worker"),
]


@pytest.mark.parametrize(
    ("gate", "verdict", "reasons"),
    [("regression", "inconclusive", DOUBTS), ("strict", "refuted", [("red", "check_failed", "exit code 1")])],
)
async def test_lost_workers_leave_what_they_have_seen(
    workshop: Workshop,
    repositories: Repositories,
    nap: str,
    gate: str,
    verdict: str,
    reasons: list[tuple[str, str, str]],
) -> None:
    """Regression: checks that had ended were errors too, and one that refutes the work did not count."""
    repositories.create(_NAME, {"README.md": "before\n"})
    await define(
        workshop,
        checks=[
            {"id": "quick", "run": ["grep", "changed", "README.md"]},
            {"id": "late", "run": ["sleep", "60"], "timeout_seconds": 1},
            {"id": "red", "run": ["false"], "retries": 0, "gate": gate},
            {"id": "slow", "run": ["sleep", nap]},
        ],
    )
    run = await workshop.queued_run(_CHANGE, repository=_NAME)
    await perform(workshop, run)
    job = asyncio.create_task(verify(workshop))
    await until_asleep(nap)
    await lapse(workshop, run)
    for _ in range(2):
        async with unit_of_work(workshop.sessions) as session:
            await verification_lifecycle.claim(session, owner="lost")
        await lapse(workshop, run)

    ended = await workshop.read(run)
    assert (ended.status, shown(ended)["verdict"]) == (RunStatus.COMPLETED, verdict)
    statuses = [check["status"] for check in shown(ended)["checks"]]
    assert statuses == ["passed", "timeout", "failed", "error"]
    assert [(each["check"], each["code"], each["detail"]) for each in shown(ended)["reasons"]] == reasons
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


async def test_unexpected_error_leaves_what_was_seen_before(
    workshop: Workshop, delivered: Run, nap: str
) -> None:
    """Regression: checks that had ended were errors too."""
    job = asyncio.create_task(verify(workshop))
    await until_asleep(nap)
    for folder in workshop.context.process.settings.workspaces_path.glob("*/work"):
        folder.parent.rename(folder.parent.with_suffix(".gone"))
    for pid in asleep(nap):
        os.kill(pid, signal.SIGKILL)
    await job

    await check_that_only_the_slow_one_is_an_error(workshop, delivered)


async def check_that_only_the_slow_one_is_an_error(workshop: Workshop, run: Run) -> None:
    ended = await workshop.read(run)
    assert (ended.status, shown(ended)["verdict"]) == (RunStatus.COMPLETED, "inconclusive")
    quick, slow = shown(ended)["checks"]
    assert (quick["status"], quick["cause"], quick["exit_code"]) == ("passed", None, 0)
    assert (slow["status"], slow["cause"]) == ("error", "worker")
    assert shown(ended)["reasons"] == [{"code": "check_error", "check": "slow", "detail": "worker"}]


async def test_run_that_is_to_fail_unverified_fails_when_its_attempt_loses_three_workers(
    workshop: Workshop, delivered: Run
) -> None:
    """Regression: it was completed, and so it was if its checks could not be set up."""
    async with unit_of_work(workshop.sessions) as session:
        fails = Verification.definitions.op("||")({"on_unverified": "fail"})
        await session.execute(update(Verification).values(definitions=fails))
    for _ in range(3):
        async with unit_of_work(workshop.sessions) as session:
            await verification_lifecycle.claim(session, owner="lost")
        await lapse(workshop, delivered)

    ended = await workshop.read(delivered)
    assert (ended.status, ended.error_message) == (
        RunStatus.FAILED,
        "The result is not verified: inconclusive",
    )


async def test_attempt_whose_job_was_lost_is_put_on_the_queue_again(
    workshop: Workshop, delivered: Run
) -> None:
    async with unit_of_work(workshop.sessions) as session:
        waiting = update(Verification).where(Verification.run_id == delivered.id)
        await session.execute(waiting.values(created_at=utcnow() - timedelta(minutes=1)))

    workshop.queue.jobs.clear()

    assert await recover_runs(workshop.context.process) == 1


async def test_cancel_ends_the_checks_and_the_run(workshop: Workshop, delivered: Run, nap: str) -> None:
    job = asyncio.create_task(verify(workshop))
    await until_asleep(nap)

    caller = member_of(workshop.project, workshop.owner)
    async with unit_of_work(workshop.sessions) as session:
        assert await cancel_checks(session, caller, delivered.task_id, delivered.id, workshop.context.process)
    await job

    assert processes_with(nap) == []
    ended = await workshop.read(delivered)
    assert (ended.status, ended.stage) == (RunStatus.CANCELLED, None)
    assert [reason["code"] for reason in shown(ended)["reasons"]] == ["cancelled"]
    assert [check["status"] for check in shown(ended)["checks"]] == ["passed", "skipped"]
    # Regression: a client was told nothing of the branch that was pushed.
    assert ended.output is not None
    assert ended.output["head_sha"] == shown(ended)["commit"]
    assert ended.output["verification"]["verdict"] == "inconclusive"
    assert await ends(workshop, delivered) == [
        ("verification.finished", "inconclusive", True),
        ("run.cancelled", None),
    ]
    assert await workshop.left_behind() == []


async def test_skip_ends_the_checks_and_completes_the_run(
    workshop: Workshop, delivered: Run, nap: str
) -> None:
    job = asyncio.create_task(verify(workshop))
    await until_asleep(nap)

    caller = member_of(workshop.project, workshop.owner)
    async with unit_of_work(workshop.sessions) as session:
        await skip(session, caller, delivered.task_id, delivered.id, workshop.context.process)
    await job

    assert processes_with(nap) == []
    ended = await workshop.read(delivered)
    assert ended.status == RunStatus.COMPLETED
    assert ended.output is not None
    assert [reason["code"] for reason in shown(ended)["reasons"]] == ["skipped_by_member"]
    quick, slow = (check["command"] for check in shown(ended)["checks"])
    assert (quick, nap in slow) == ("grep changed README.md", True)
    # Regression: they went on as `running` and `waiting`.
    assert [check["status"] for check in shown(ended)["checks"]] == ["passed", "skipped"]
    assert await ends(workshop, delivered) == [
        ("verification.finished", "claimed", True),
        ("run.completed", "claimed"),
    ]


async def test_stopped_worker_hands_its_attempt_back(workshop: Workshop, delivered: Run, nap: str) -> None:
    workshop.queue.jobs.clear()
    job = asyncio.create_task(verify(workshop))
    await until_asleep(nap)

    job.cancel()
    await asyncio.gather(job, return_exceptions=True)

    assert processes_with(nap) == []
    assert [(each.name, each.queue_name) for each in workshop.queue.jobs] == [(VERIFY_RUN, CHECKS_QUEUE)]
    async with unit_of_work(workshop.sessions) as session:
        assert await verification_lifecycle.claim(session, owner="another") is not None
    assert await ends(workshop, delivered) == []
