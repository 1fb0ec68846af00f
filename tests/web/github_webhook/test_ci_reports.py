"""What the code host's own checks of a pushed commit show beside its verdict."""

from datetime import datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_event_stream import read_events
from app.clients.redis import RedisClient
from app.enums import CheckStatus, Verdict
from app.models import Event, Integration, PushedBranch, Run
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.runs.verification_attempts.verification_lifecycle import Conclusion, OpenAttempt
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.verification import shown_check, shown_verdict
from tests.web.github_webhook.conftest import BRANCH, SHA, Hook, check_run


async def ci_of(hook: Hook) -> Any:
    await hook.session.refresh(hook.run)
    assert hook.run.verification is not None
    return hook.run.verification["ci"]


@pytest.fixture
async def verified(hook: Hook) -> Hook:
    """The run has a verdict about the commit that it pushed."""
    hook.run.verification = {**shown_verdict(Verdict.VERIFIED, CheckStatus.PASSED), "commit": SHA}
    hook.task.latest_run_id = hook.run.id
    await hook.session.flush()
    return hook


async def test_checks_of_the_host_are_shown_beside_the_verdict(verified: Hook) -> None:
    for sent, state, total, failed in (
        (check_run("build"), "pending", 1, []),
        (check_run("build", "success"), "success", 1, []),
        (check_run("tests", number=2), "pending", 2, []),
        (check_run("tests", "timed_out", number=2), "failure", 2, ["tests"]),
        (check_run("tests", "neutral", number=3), "success", 2, []),
    ):
        answer = await verified.send(sent, event="check_run")
        assert ('"ignored"' in answer.text, "starts a" in answer.text) == (True, state == "failure")
        ci = await ci_of(verified)
        assert (ci["state"], ci["total"], ci["failed"], ci["head_sha"]) == (state, total, failed, SHA)
        assert ci["url"].startswith("https://host.test/checks/")
        await verified.session.refresh(verified.task)
        assert verified.task.latest_run_ci == state
    assert verified.run.verification is not None
    assert verified.run.verification["verdict"] == "verified"
    rows = await verified.session.scalars(
        select(Event.data).where(Event.run_id == verified.run.id, Event.type == "verification.updated")
    )
    assert [(data["cause"], data["verdict"]) for data in rows] == [("ci", "verified")] * 5


async def test_followers_of_the_run_learn_that_it_has_changed(verified: Hook, redis: RedisClient) -> None:
    for conclusion in (None, "success", "success"):
        await verified.send(check_run("build", conclusion), event="check_run")

    published = await read_events(redis, verified.run.id, after=None, count=10)
    await verified.session.refresh(verified.run)
    assert len(published) == 2
    assert datetime.fromisoformat(orjson.loads(published[-1].data)["updated_at"]) == verified.run.updated_at


def report(event: str, number: int, conclusion: str | None, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Return an event and its payload, with the fields by which GitHub tells reports apart."""
    check = {"id": number, "head_branch": BRANCH, "head_sha": SHA, "conclusion": conclusion, **fields}
    return event, {"action": "completed", event: check, "repository": {"full_name": "Acme/App"}}


def suite(number: int, conclusion: str | None, *, minute: int = 0) -> tuple[str, dict[str, Any]]:
    app, changed = {"id": 15368, "name": "GitHub Actions"}, f"2026-11-30T12:{minute:02}:00Z"
    return report("check_suite", number, conclusion, app=app, updated_at=changed)


def workflow(
    number: int, conclusion: str | None, *, attempt: int = 1, minute: int = 0, action: str = "completed"
) -> tuple[str, dict[str, Any]]:
    changed = f"2026-11-30T12:{minute:02}:00Z"
    event, content = report(
        "workflow_run", number, conclusion, name="CI", run_attempt=attempt, updated_at=changed
    )
    return event, content | {"action": action}


def job(
    number: int, conclusion: str | None, *, in_suite: int = 1, minute: int = 0
) -> tuple[str, dict[str, Any]]:
    ended = f"2026-11-30T12:{minute:02}:00Z" if conclusion else None
    return report(
        "check_run",
        number,
        conclusion,
        name="build",
        started_at="2026-11-30T11:00:00Z",
        completed_at=ended,
        check_suite={"id": in_suite, "head_branch": BRANCH},
    )


@pytest.mark.parametrize(
    ("sent", "state", "total"),
    [
        # Each workflow has its suite, and all are named like their App.
        ([suite(1, "failure"), suite(2, "success")], "failure", 2),
        # One workflow, started by a push and by a pull request.
        ([workflow(1, "failure"), workflow(2, "success")], "failure", 2),
        # Jobs with one name in two workflows, and the newest of one that was repeated.
        ([job(1, "failure"), job(2, "success", in_suite=2)], "failure", 2),
        ([job(1, "failure"), job(2, "success"), job(1, "failure")], "success", 1),
        # Repeated, then the first report comes again.
        ([workflow(1, "failure"), workflow(1, "success", attempt=2), workflow(1, "failure")], "success", 1),
        ([suite(1, "failure"), suite(1, "success", minute=1), suite(1, "failure")], "success", 1),
        ([job(1, "failure"), job(1, "success", minute=1), job(1, "failure")], "success", 1),
        # A repetition has begun; the begin of what has ended comes late.
        ([workflow(1, "success"), workflow(1, None, attempt=2)], "pending", 1),
        ([workflow(1, "failure"), workflow(1, "failure", attempt=2, action="requested")], "pending", 1),
        ([workflow(1, "success", minute=1), workflow(1, None, minute=1)], "success", 1),
        ([job(1, "success"), job(1, None)], "success", 1),
    ],
)
async def test_newest_report_of_each_check_counts(
    verified: Hook, sent: list[tuple[str, dict[str, Any]]], state: str, total: int
) -> None:
    """A commit was shown as green while a check of it was red, and red after a repetition had passed."""
    for event, content in sent:
        await verified.send(content, event=event)

    ci = await ci_of(verified)
    assert (ci["state"], ci["total"]) == (state, total)


async def test_failure_counts_however_many_checks_have_passed(verified: Hook) -> None:
    """Regression: beyond 200 checks a new one was dropped, and the commit was shown as a success."""
    passed = {
        f"check_suite:{number}": {
            "version": [0, number, "", True],
            "name": "CI",
            "state": "success",
            "url": None,
        }
        for number in range(1, 201)
    }
    stored = update(PushedBranch).where(PushedBranch.run_id == verified.run.id)
    await verified.session.execute(stored.values(ci={"head_sha": SHA, "checks": passed}))
    for (event, content), state in (
        (suite(201, None), "pending"),
        (suite(202, "failure"), "failure"),
        (suite(201, "success", minute=1), "failure"),
        (suite(203, "success"), "failure"),
        (suite(202, "success", minute=1), "success"),
    ):
        await verified.send(content, event=event)
        ci = await ci_of(verified)
        assert (ci["state"], ci["total"]) == (state, 200)


async def test_late_and_foreign_reports_change_nothing(verified: Hook) -> None:
    await verified.send(check_run("build", "success", number=2), event="check_run")
    known = await ci_of(verified)

    for sent in (
        check_run("build", number=2),
        check_run("build", "failure", number=1),
        check_run("build", "failure", number=3, sha="b" * 40),
        check_run("taskbeacon", "failure", number=4),
    ):
        await verified.send(sent, event="check_run")

    assert await ci_of(verified) == known


async def test_reports_of_our_own_app_do_not_count(verified: Hook) -> None:
    values = {"app_id": "7", "installation_id": "1", "encrypted_private_key": "sealed"}
    await verified.session.execute(
        update(Integration).where(Integration.id == verified.integration.id).values(values)
    )

    suite = {"id": 5, "conclusion": "failure", "head_branch": BRANCH, "head_sha": SHA, "app": {"id": 7}}
    content = {"action": "completed", "check_suite": suite, "repository": {"full_name": "Acme/App"}}
    answer = await verified.send(content, event="check_suite")

    assert answer.json()["status"] == "ignored", "a refuted result starts no follow-up run"
    assert await ci_of(verified) is None


async def test_new_commit_of_a_run_begins_without_reports(verified: Hook) -> None:
    await verified.send(check_run("build", "failure"), event="check_run")

    await verified.push(verified.run, "b" * 40)

    kept = select(PushedBranch.ci).where(PushedBranch.run_id == verified.run.id)
    assert await verified.session.scalar(kept) == {}


async def test_verdict_keeps_a_report_that_came_while_checks_ran(verified: Hook) -> None:
    claimed = await open_attempt(verified.session, verified.run)
    await verified.send(check_run("build", "success"), event="check_run")
    concluded = {"verdict": Verdict.REFUTED, "checks": [shown_check(1, CheckStatus.FAILED)]}

    await verification_lifecycle.note_progress(verified.session, claimed, {"checks": []})
    await verification_lifecycle.conclude(
        verified.session, claimed, Conclusion(shown=concluded), events=RecordingEvents()
    )

    assert (await ci_of(verified))["state"] == "success"


async def open_attempt(session: AsyncSession, run: Run) -> OpenAttempt:
    await verification_lifecycle.reopen(session, run.id, SHA, None)
    claimed = await verification_lifecycle.claim(session, owner="worker")
    assert claimed is not None
    return claimed
