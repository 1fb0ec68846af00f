"""GitHub's webhooks: who is believed, what starts a follow-up run, and how often."""

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import CheckStatus, QuestionStatus, RunStatus, Verdict
from app.ids import new_hex_id, new_id
from app.models import CiFailure, Event, Integration, Project, PushedBranch, Question, Run, Task, User
from app.runtime import ProcessContext
from app.services.accounts import integrations
from app.services.code_hosts.github_webhook import read_ci_report
from app.services.code_hosts.pushed_branches import PushRecord, record_push
from app.services.runs.attempts import lifecycle as attempts
from app.services.runs.attempts.lifecycle import Conclusion, OpenAttempt
from app.services.usage_gates import Limit
from tests.concurrency.races import is_waiting
from tests.support.assertions import assert_error, assert_permission_denied
from tests.support.factories import make_run, make_task
from tests.support.stand_ins.fakes import RecordingEvents, RecordingQueue, ScriptedGate
from tests.support.verification import end_checked, make_verified_run, shown_check, shown_verdict
from tests.support.waiting import eventually

SECRET = "a-secret-between-github-and-us"
BRANCH = "taskbeacon/tes-0-1234abcd"
SHA = "a" * 40


def signed(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def payload(event: str = "workflow_run", **changes: Any) -> dict[str, Any]:
    check = {
        "conclusion": "failure",
        "head_branch": BRANCH,
        "head_sha": SHA,
        "name": "tests",
        "head_repository": {"full_name": "Acme/App"},
    }
    repository = {"full_name": "Acme/App"}
    return {"action": "completed", event: check | changes, "repository": repository}


@dataclass(slots=True)
class Hook:
    """The webhook of an integration, and a task that a run has worked on."""

    client: httpx.AsyncClient
    session: AsyncSession
    integration: Integration
    task: Task
    run: Run

    async def send(
        self,
        content: Any,
        *,
        event: str = "workflow_run",
        delivery: str | None = None,
        signature: str | None = None,
    ) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await self.client.post(
            f"/api/webhooks/github?integration={self.integration.id}",
            content=body,
            headers={
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": delivery or new_hex_id(),
                "X-Hub-Signature-256": signed(body) if signature is None else signature,
            },
        )

    async def follow_up(self, answer: httpx.Response) -> Run:
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "started", answer.text
        return await self.session.get_one(Run, answer.json()["run"])

    async def push(self, run: Run, sha: str) -> None:
        pushed = PushRecord(
            repository="acme/app",
            integration_id=self.integration.id,
            branch=BRANCH,
            base_branch="main",
            head_sha=sha,
        )
        await record_push(self.session, task_id=self.task.id, run_id=run.id, pushed=pushed)

    async def end(self, run: Run, sha: str) -> None:
        """End a run that has pushed this commit."""
        await self.session.execute(
            update(Task).where(Task.id == self.task.id).values(latest_run_status=RunStatus.COMPLETED)
        )
        await self.push(run, sha)


@pytest.fixture
async def hook(
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    process: ProcessContext,
    project: Project,
    owner: User,
) -> Hook:
    integration = await integrations.create_integration(
        session,
        process.cipher,
        project_id=project.id,
        new=integrations.NewIntegration(kind="github", webhook_secret=SECRET),
    )
    task = await make_task(session, project=project, created_by=owner, ci_prompt="Mend it.")
    state = {"mode": "interactive", "pr_base_branch": "main", "pr_authorship_mode": "user"}
    run = await make_run(session, task=task, status=RunStatus.COMPLETED, state=state)
    made = Hook(anonymous, session, integration, task, run)
    await made.end(run, SHA)
    return made


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
@pytest.mark.parametrize(
    ("event", "content"),
    [
        ("ping", {"zen": "Design for failure."}),
        ("push", payload()),
        *(
            ("workflow_run", payload(conclusion=conclusion))
            for conclusion in ("success", ["failure"], {"failure": 1}, 1, None)
        ),
        ("workflow_run", payload() | {"action": "requested"}),
        ("workflow_run", payload(head_branch="main")),
        ("workflow_run", payload(head_repository={"full_name": "mallory/app"})),
        ("workflow_run", payload() | {"repository": {"full_name": "acme/other"}}),
        ("workflow_run", payload(head_sha="b" * 40)),
        ("workflow_run", payload(head_branch=7)),
        ("workflow_run", payload(head_sha="\x00")),
        ("workflow_run", {"action": "completed", "workflow_run": []}),
        ("workflow_run", []),
    ],
)
async def test_everything_else_is_ignored(
    hook: Hook, queue: RecordingQueue, event: str, content: Any
) -> None:
    answer = await hook.send(content, event=event)

    assert (answer.status_code, answer.json()["status"], answer.json()["run"]) == (200, "ignored", None)
    assert queue.jobs == []


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["failure", BRANCH]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [
    ("action",),
    ("check_suite",),
    ("repository",),
    ("repository", "full_name"),
    *(
        ("check_suite", name)
        for name in ("conclusion", "head_branch", "head_sha", "name", "app", "head_repository")
    ),
]


@pytest.mark.walls
@given(replaced=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, min_size=1, max_size=4))
@example(replaced={("check_suite", "conclusion"): ["failure"]})
@example(replaced={("check_suite", "conclusion"): {"a": 1}})
@settings(max_examples=300)
def test_every_field_may_be_anything(replaced: dict[tuple[str, ...], Any]) -> None:
    """A list or an object as the conclusion was a server error."""
    content = payload("check_suite")
    for (*parents, name), value in replaced.items():
        parent = content
        for each in parents:
            parent = parent[each] if isinstance(parent.get(each), dict) else {}
        parent[name] = value
    report = read_ci_report("check_suite", content)
    assert report is None or report.branch.startswith("taskbeacon/")


async def test_delivery_that_comes_twice_counts_once(hook: Hook, queue: RecordingQueue) -> None:
    await hook.follow_up(await hook.send(payload(), delivery="one"))

    again = await hook.send(payload(), delivery="one")

    assert (again.json()["status"], len(queue.jobs)) == ("ignored", 1)


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
    hook: Hook, queue: RecordingQueue
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
        await eventually(partial(is_waiting, sessions))
        await session.execute(update(Task).where(Task.id == hook.task.id).values(title="It has moved"))

    assert (await sending).json()["reason"] == "The branch had 3 follow-up runs already."


async def test_follow_up_settles_what_was_not_verified(hook: Hook, sessions: SessionFactory) -> None:
    """Of the latest run, which may have pushed another branch than the one whose check failed."""
    latest = await make_verified_run(hook.session, task=hook.task, delivers=False)
    await end_checked(sessions, latest, shown_verdict(Verdict.REFUTED, CheckStatus.FAILED))

    await hook.follow_up(await hook.send(payload()))

    assert list(await hook.session.scalars(select(Question.status))) == [QuestionStatus.WITHDRAWN]


async def test_archived_or_deleted_task_is_left_alone(hook: Hook, queue: RecordingQueue) -> None:
    await hook.session.execute(update(Task).where(Task.id == hook.task.id).values(archived=True))

    assert (await hook.send(payload())).json()["status"] == "ignored"
    assert queue.jobs == []


@pytest.mark.parametrize(
    "signature", ["", "sha256=", "sha256=" + "0" * 64, signed(b"{}"), signed(b"x", "other")]
)
async def test_wrong_signature_is_refused(hook: Hook, queue: RecordingQueue, signature: str) -> None:
    answer = await hook.send(payload(), signature=signature)

    assert_permission_denied(answer, "The signature does not fit.")
    assert queue.jobs == []


async def test_integration_without_a_secret_is_refused(hook: Hook) -> None:
    hook.integration.encrypted_webhook_secret = None
    await hook.session.flush()

    answer = await hook.send(payload(), signature=signed(json.dumps(payload()).encode(), ""))

    assert_permission_denied(answer, "The signature does not fit.")


async def test_other_integration_cannot_speak_of_this_branch(
    hook: Hook, process: ProcessContext, project: Project
) -> None:
    hook.integration = await integrations.create_integration(
        hook.session,
        process.cipher,
        project_id=project.id,
        new=integrations.NewIntegration(kind="github", webhook_secret=SECRET),
    )

    assert (await hook.send(payload())).json()["status"] == "ignored"


async def test_secret_of_the_service_signs_where_no_integration_is_named(
    hook: Hook, application: FastAPI, process: ProcessContext
) -> None:
    body = json.dumps(payload()).encode()
    headers = {
        "X-GitHub-Event": "workflow_run",
        "X-GitHub-Delivery": "d",
        "X-Hub-Signature-256": signed(body, "of the service"),
    }
    refused = await hook.client.post("/api/webhooks/github", content=body, headers=headers)
    settings = process.settings.model_copy(update={"github_webhook_secret": SecretStr("of the service")})
    application.state.process = replace(process, settings=settings)
    taken = await hook.client.post("/api/webhooks/github", content=body, headers=headers)

    assert_permission_denied(refused, "The signature does not fit.")
    await hook.follow_up(taken)


async def test_body_that_is_too_large_or_no_json_is_refused(hook: Hook) -> None:
    large = await hook.send(b" " * (5 * 2**20 + 1))
    broken = await hook.send(b"{")

    assert (large.status_code, large.json()["code"]) == (413, "request_too_large")
    assert (broken.status_code, broken.json()["code"]) == (400, "parse_error")


async def test_delivery_without_an_id_is_refused(hook: Hook) -> None:
    body = json.dumps(payload()).encode()
    answer = await hook.client.post(
        f"/api/webhooks/github?integration={hook.integration.id}",
        content=body,
        headers={"X-GitHub-Event": "workflow_run", "X-Hub-Signature-256": signed(body)},
    )

    assert_error(
        answer,
        400,
        type="validation_error",
        code="required",
        detail="This header is required.",
        attr="X-GitHub-Delivery",
    )


def check_run(
    name: str,
    conclusion: str | None = None,
    *,
    number: int = 1,
    branch: str = BRANCH,
    sha: str = SHA,
    app: int = 1,
) -> dict[str, Any]:
    check = {
        "id": number,
        "name": name,
        "conclusion": conclusion,
        "head_sha": sha,
        "html_url": f"https://host.test/checks/{number}",
        "check_suite": {"head_branch": branch},
        "app": {"id": app, "name": "CI"},
    }
    return {"action": "completed", "check_run": check, "repository": {"full_name": "Acme/App"}}


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

    await attempts.note_progress(verified.session, claimed, {"checks": []})
    await attempts.conclude(verified.session, claimed, Conclusion(shown=concluded), events=RecordingEvents())

    assert (await ci_of(verified))["state"] == "success"


async def open_attempt(session: AsyncSession, run: Run) -> OpenAttempt:
    await attempts.reopen(session, run.id, SHA, None)
    claimed = await attempts.claim(session, owner="worker")
    assert claimed is not None
    return claimed
