"""Which failed checks start a follow-up run, and how often."""

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import partial

import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from app.clients.live_events.run_event_stream import read_events
from app.clients.redis import RedisClient
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import CheckStatus, QuestionStatus, RunStatus, Verdict
from app.ids import new_id
from app.models import CiFailure, PushedBranch, Question, Run, Task, User
from app.runtime import ProcessContext
from app.services.access.usage_gates import Limit
from app.services.runs.ci_reports import CiReport
from app.services.runs.follow_ups import follow_up
from tests.concurrency.races import count_waiting
from tests.support.database.faults import rolled_back
from tests.support.stand_ins.fakes import RecordingQueue, ScriptedGate
from tests.support.verification import end_checked, make_attempt, make_verified_run, shown_verdict
from tests.support.waiting import eventually
from tests.web.github_webhook.conftest import BRANCH, SHA, Hook, payload


@pytest.mark.parametrize("event", ["workflow_run", "check_suite"])
async def test_failed_check_starts_a_run_that_goes_on_from_the_one_that_pushed(
    hook: Hook, queue: RecordingQueue, event: str
) -> None:
    answer = await hook.send(payload(event), event=event)

    run = await hook.follow_up(answer)
    assert (run.status, run.branch, run.environment) == (RunStatus.QUEUED, "main", "cloud")
    assert run.dispatch_requested_at is not None
    assert run.state | run.facts == {
        "mode": "background",
        "pr_base_branch": "main",
        # The token that came with the earlier run is forgotten.
        "pr_authorship_mode": "bot",
        "resume_from_run_id": str(hook.run.id),
        "pending_user_message": "Mend it.",
        "ci_follow_up": {"number": 1, "limit": 3, "check": "tests", "head_sha": SHA},
    }
    assert [job.arguments for job in queue.jobs] == [{"run_id": str(run.id)}]


async def test_task_without_a_prompt_gets_one_that_names_the_check(hook: Hook) -> None:
    await hook.session.execute(update(Task).where(Task.id == hook.task.id).values(ci_prompt=None))

    run = await hook.follow_up(await hook.send(payload(name="unit {tests}")))

    for part in ("unit {tests}", SHA, BRANCH):
        assert part in run.state["pending_user_message"]


@pytest.mark.walls
@pytest.mark.parametrize("has_creator", [True, False])
async def test_project_over_its_limit_gets_no_follow_up_until_the_delivery_comes_again(
    hook: Hook,
    application: FastAPI,
    process: ProcessContext,
    queue: RecordingQueue,
    owner: User,
    has_creator: bool,
) -> None:
    """Bypass of the usage gate by follow-up runs; it is asked about no other. Its refusal lost the report."""
    gate = ScriptedGate(Limit())
    application.state.process = replace(process, gates=[gate])
    if not has_creator:
        await hook.session.execute(update(Task).where(Task.id == hook.task.id).values(created_by_id=None))

    refused = await hook.send(payload(), delivery="one")
    assert await hook.session.scalar(select(PushedBranch.ci))
    other = await hook.send(payload(head_sha="b" * 40))
    gate.limit = None
    taken = await hook.send(payload(), delivery="one")

    assert (refused.status_code, refused.json()["code"]) == (429, "usage_limit_exceeded")
    assert other.json()["status"] == "ignored"
    await hook.follow_up(taken)
    assert gate.asked == [(hook.task.project_id, owner.id if has_creator else None)] * 2
    assert len(queue.jobs) == 1


@pytest.mark.usefixtures("hook")
async def test_follow_up_is_logged_once_it_is_started(
    process: ProcessContext, sessions: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    check = CiReport(
        repository="acme/app",
        branch=BRANCH,
        head_sha=SHA,
        subject="tests",
        name="tests",
        version=(1, 1, ""),
        conclusion="failure",
        url=None,
    )
    for transaction, logged in ((rolled_back, 0), (unit_of_work, 1)):
        async with transaction(sessions) as own:
            assert (await follow_up(own, check, process))["status"] == "started"
        assert caplog.text.count("webhook.follow_up") == logged


async def test_two_failed_checks_of_one_commit_start_one_run(hook: Hook, queue: RecordingQueue) -> None:
    run = await hook.follow_up(await hook.send(payload()))
    under_way = await hook.send(payload(name="lint"))
    await hook.end(run, "b" * 40)
    late = await hook.send(payload(name="docs"))
    await hook.push(run, SHA)
    known = await hook.send(payload(name="types"))

    reasons = [answer.json()["reason"] for answer in (under_way, late, known)]
    assert ["under way" in reasons[0], "moved the branch" in reasons[1], "acted upon" in reasons[2]] == [
        True
    ] * 3
    assert len(queue.jobs) == 1


async def test_branch_gets_three_follow_ups_and_then_says_why_no_more(
    hook: Hook, queue: RecordingQueue, redis: RedisClient
) -> None:
    run, sha = hook.run, SHA
    for number in (1, 2, 3):
        run = await hook.follow_up(await hook.send(payload(head_sha=sha)))
        assert run.facts["ci_follow_up"]["number"] == number
        sha = str(number) * 40
        await hook.end(run, sha)

    fourth = await hook.send(payload(head_sha=sha))

    assert fourth.json()["reason"] == "The branch had 3 follow-up runs already."
    assert len(queue.jobs) == 3
    await hook.session.refresh(run)
    assert run.facts["ci_follow_up"]["refused"] == fourth.json()["reason"]
    *_, last = await read_events(redis, run.id, after=None, count=10)
    assert datetime.fromisoformat(orjson.loads(last.data)["updated_at"]) == run.updated_at


async def test_follow_up_waits_for_a_run_that_moves_and_for_its_task(
    hook: Hook, sessions: SessionFactory
) -> None:
    """Both lock the run first: neither ends in a deadlock. The branch has had its three follow-up runs."""
    for number in range(3):
        failure = CiFailure(
            id=new_id(),
            task_id=hook.task.id,
            branch=BRANCH,
            head_sha=str(number) * 40,
            created_at=utcnow(),
            follow_up_run_id=hook.run.id,
        )
        hook.session.add(failure)
    await hook.session.flush()
    async with unit_of_work(sessions) as session:
        await session.execute(select(Run.id).where(Run.id == hook.run.id).with_for_update(key_share=True))
        sending = asyncio.create_task(hook.send(payload()))
        await eventually(partial(count_waiting, sessions))
        await session.execute(update(Task).where(Task.id == hook.task.id).values(title="It has moved"))

    assert (await sending).json()["reason"] == "The branch had 3 follow-up runs already."


async def test_follow_up_waits_for_a_latest_run_that_did_not_push(
    hook: Hook, sessions: SessionFactory
) -> None:
    """Regression: a deadlock. The report had changed the task when the follow-up waited for its latest run."""
    pushed = {**shown_verdict(Verdict.VERIFIED, CheckStatus.PASSED), "commit": SHA}
    await make_attempt(hook.session, hook.run, pushed, commit=SHA)
    latest = await make_verified_run(hook.session, task=hook.task, delivers=False)
    async with unit_of_work(sessions) as session:
        await session.execute(select(Run.id).where(Run.id == latest.id).with_for_update(key_share=True))
        sending = asyncio.create_task(hook.send(payload()))
        await eventually(partial(count_waiting, sessions))
        await session.execute(update(Task).where(Task.id == hook.task.id).values(title="It has moved"))

    assert (await sending).json()["reason"] == "A run of the task is under way."


async def test_follow_up_settles_what_was_not_verified(hook: Hook, sessions: SessionFactory) -> None:
    """Of the latest run, which may have pushed another branch than the one whose check failed."""
    latest = await make_verified_run(hook.session, task=hook.task, delivers=False)
    await end_checked(sessions, latest, shown_verdict(Verdict.REFUTED, CheckStatus.FAILED))

    await hook.follow_up(await hook.send(payload()))

    assert list(await hook.session.scalars(select(Question.status))) == [QuestionStatus.WITHDRAWN]


async def test_archived_or_deleted_task_is_left_alone(hook: Hook, queue: RecordingQueue) -> None:
    archived = {"archived": True, "archived_at": utcnow()}
    await hook.session.execute(update(Task).where(Task.id == hook.task.id).values(archived))

    assert (await hook.send(payload())).json()["status"] == "ignored"
    assert queue.jobs == []
