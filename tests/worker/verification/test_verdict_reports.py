"""The verdict of a run at its code host: pull request, check run, status (contract 18.7)."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clients.http.guarded_http import create_guarded_client
from app.clients.job_queue import CHORES_QUEUE
from app.clients.webhooks.webhook_client import WebhookClient
from app.clock import utcnow
from app.db import unit_of_work
from app.models import CheckSet, Integration, Run, VerdictReport, Verification
from app.security.addresses import AddressPolicy
from app.services.code_hosts.verdict_reports import report_due
from app.services.enqueueing import VERIFY_RUN
from app.services.runs.verification_attempts import verification_lifecycle
from app.worker.job_table import create_chores_worker
from app.worker.jobs.verify_run import verify_run
from app.worker.main import looping, working
from tests.support.clock import let_time_pass
from tests.support.database.queries import recorded
from tests.support.stand_ins.github import Reply
from tests.support.verification import make_check_set
from tests.support.waiting import eventually
from tests.worker.private_host import TOKEN, Host, app_installation

Step = Callable[[], Awaitable[Any]]
Meanwhile = Callable[[Step], AbstractAsyncContextManager[None]]

MARK, END = "<!-- taskbeacon:verification -->", "<!-- /taskbeacon:verification -->"
BYE = "```file path=hello.txt\nBye\n```\n```say\nSaid bye.\n```"
PASSES = {"id": "greets", "run": ["grep", "Hello", "hello.txt"], "gate": "strict"}
FAILS = {"id": "parts", "run": ["grep", "Bye", "hello.txt"], "gate": "strict"}


async def define(host: Host, *checks: dict[str, Any]) -> None:
    async with unit_of_work(host.workshop.sessions) as session:
        await make_check_set(session, project=host.workshop.project, checks=[*checks], max_repairs=0)


async def integrate_app(host: Host) -> Integration:
    return await host.integrate(installation=app_installation(host.service))


async def verify(host: Host) -> None:
    await verify_run({**host.workshop.arq_context, "job_id": f"{VERIFY_RUN}:test"})


async def report(host: Host) -> None:
    context = host.workshop.context
    await report_due(context.process.sessions, context.code_hosts, context.process.settings)


async def performed(host: Host, integration: Integration) -> Run:
    """Perform a run and check its work, and report the verdict."""
    run = await host.perform(integration)
    await verify(host)
    await report(host)
    return await host.workshop.read(run)


async def verify_again(host: Host, run: Run) -> None:
    assert run.verification is not None
    async with unit_of_work(host.workshop.sessions) as session:
        await verification_lifecycle.reopen(
            session, run.id, run.verification["commit"], run.verification["base"]
        )
    await verify(host)
    await report(host)


async def correct(host: Host, run: Run) -> Run:
    """Have another run correct this one's work on its branch, and check it."""
    async with unit_of_work(host.workshop.sessions) as session:
        task = await session.merge(await host.workshop.task_of(run))
        task.description = BYE
    corrected = await host.resume(run)
    await verify(host)
    return corrected


async def waive(host: Host, run: Run) -> None:
    before: Any = run.verification
    async with unit_of_work(host.workshop.sessions) as session:
        await verification_lifecycle.note_waiver(
            session, run.id, before, {"reason": "", "user": None, "at": ""}
        )


async def due_at(host: Host, run: Run) -> Any:
    async with unit_of_work(host.workshop.sessions) as session:
        return await session.scalar(select(VerdictReport.due_at).where(VerdictReport.run_id == run.id))


async def make_due(host: Host, run: Run, **asked: Any) -> None:
    async with unit_of_work(host.workshop.sessions) as session:
        row = await session.get_one(VerdictReport, run.id)
        row.due_at = utcnow()
        for name, value in asked.items():
            setattr(row, name, value)


async def test_app_puts_the_verdict_on_pull_request_and_check_run(host: Host) -> None:
    await define(host, PASSES, FAILS)

    run = await performed(host, await integrate_app(host))

    assert run.verification is not None
    [pull] = host.service.pulls
    section = pull["body"][pull["body"].index(MARK) :]
    assert section.endswith(END)
    assert len(section.encode()) <= 4096
    assert "**Refuted: 1 check fails**" in section
    assert "| `greets` | strict | passed |" in section
    assert "| `parts` | strict | failed |" in section
    assert pull["body"].startswith("<!-- taskbeacon -->")
    [check_run] = host.service.check_runs
    assert (check_run["name"], check_run["status"], check_run["conclusion"]) == (
        "taskbeacon",
        "completed",
        "failure",
    )
    assert (check_run["external_id"], check_run["head_sha"]) == (str(run.id), run.verification["commit"])
    assert check_run["output"]["title"] == "Refuted: 1 check fails"
    assert host.service.statuses == []
    assert await due_at(host, run) is None


async def test_rerun_updates_the_one_check_run_and_section(host: Host) -> None:
    await define(host, FAILS)
    run = await performed(host, await integrate_app(host))
    async with unit_of_work(host.workshop.sessions) as session:
        [check_set] = await session.scalars(select(CheckSet))
        await session.delete(check_set)
    await define(host, PASSES)

    await verify_again(host, run)

    [check_run] = host.service.check_runs
    assert check_run["conclusion"] == "success"
    [pull] = host.service.pulls
    assert pull["body"].count(MARK) == 1
    assert "**Verified: verified (1 check)**" not in pull["body"]
    assert "**Verified (1 check)**" in pull["body"]


async def test_section_that_people_removed_stays_away(host: Host) -> None:
    await define(host, PASSES)
    run = await performed(host, await host.integrate(token=TOKEN))
    host.service.pulls[0]["body"] = "Our own words."

    await verify_again(host, run)

    assert host.service.pulls[0]["body"] == "Our own words."
    assert len(host.service.statuses) == 2, "the status is set all the same"


async def test_token_of_a_person_sets_a_status(host: Host) -> None:
    await define(host, PASSES)

    run = await performed(host, await host.integrate(token=TOKEN))

    assert run.verification is not None
    assert host.service.statuses == [
        {
            "sha": run.verification["commit"],
            "state": "success",
            "context": "taskbeacon",
            "description": "Verified (1 check)",
        }
    ]
    assert host.service.check_runs == []


async def test_outage_of_the_host_delays_the_report_alone(host: Host) -> None:
    await define(host, PASSES)
    run = await host.perform(await host.integrate(token=TOKEN))
    await verify(host)
    host.service.replies.append(Reply(503))

    await report(host)

    assert (await host.workshop.read(run)).status == "completed"
    assert host.service.statuses == []
    assert (await due_at(host, run)) > utcnow()
    await make_due(host, run)
    await report(host)
    assert [status["state"] for status in host.service.statuses] == ["success"]
    assert await due_at(host, run) is None


@pytest.mark.parametrize(
    ("reply", "age"), [(Reply(503), timedelta(days=1)), (Reply(403, message="Not allowed"), timedelta())]
)
async def test_report_is_given_up_when_it_is_refused_or_a_day_old(
    host: Host, reply: Reply, age: timedelta
) -> None:
    await define(host, PASSES)
    run = await host.perform(await host.integrate(token=TOKEN))
    await verify(host)
    await make_due(host, run, asked_at=utcnow() - age)
    host.service.replies.append(reply)

    await report(host)

    assert host.service.statuses == []
    assert await due_at(host, run) is None


async def test_report_that_cannot_be_made_is_given_up_and_logged(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: it came back every five minutes for ever, and ended the others of its batch."""
    await define(host, PASSES)
    run = await host.perform(await host.integrate(token=TOKEN))
    await verify(host)
    async with unit_of_work(host.workshop.sessions) as session:
        [checked] = await session.scalars(select(Verification))
        checked.shown = {}

    await report(host)

    assert await due_at(host, run) is None
    assert "verdict_report.failed" in caplog.text


async def test_host_that_does_not_answer_takes_no_slot_of_other_chores(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the reports of a few ticks took all slots, and the recovery of runs waited for them."""
    await define(host, PASSES)
    await host.perform(await host.integrate(token=TOKEN))
    await verify(host)
    context, is_asked, answers = host.workshop.context, asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        is_asked.set()
        await answers.wait()

    host.service.while_clients_wait = wait
    chores = create_chores_worker(context)
    tick = datetime.now(tz=chores.timezone) - timedelta(minutes=1)
    await chores.run_cron(tick, 0)
    await chores.run_cron(tick + timedelta(seconds=11), 0)

    async def are_done() -> bool:
        queued = await context.process.redis.zcard(CHORES_QUEUE)
        return chores.jobs_complete > 0 and not queued and not chores.job_counter

    async with (
        create_guarded_client(AddressPolicy(())) as http,
        looping(context, WebhookClient(http), working("chores", chores), close_worker=close_nothing),
    ):
        let_time_pass(monkeypatch, seconds=10)
        await is_asked.wait()
        await eventually(are_done, within_seconds=20)
        answers.set()
        await eventually(lambda: host.service.statuses)


async def close_nothing() -> None: ...


async def test_run_without_checks_reports_nothing(host: Host) -> None:
    await host.perform(await host.integrate(token=TOKEN))
    asked = len(host.service.requests)

    await report(host)

    assert len(host.service.requests) == asked
    assert MARK not in host.service.pulls[0]["body"]


async def test_verdict_that_comes_during_a_report_is_reported_by_the_next_chore(host: Host) -> None:
    """Regression: a chore did not end as long as new verdicts came."""
    await define(host, PASSES)
    run = await host.perform(await host.integrate(token=TOKEN))
    await verify(host)

    async def conclude_again() -> None:
        if len(host.service.statuses) > 2:
            host.service.while_clients_wait = None
        await make_due(host, run)

    host.service.while_clients_wait = conclude_again
    await report(host)
    assert len(host.service.statuses) == 1

    host.service.while_clients_wait = None
    await report(host)
    assert len(host.service.statuses) == 2
    assert await due_at(host, run) is None


async def test_report_whose_lease_has_lapsed_leaves_the_row_to_who_claimed_it_since(host: Host) -> None:
    """Regression: it made the row due again, so that the verdict was reported once more beside the other worker."""
    await define(host, PASSES)
    run = await host.perform(await host.integrate(token=TOKEN))
    await verify(host)
    lease = utcnow() + timedelta(hours=1)

    async def claim() -> None:
        host.service.while_clients_wait = None
        async with unit_of_work(host.workshop.sessions) as session:
            (await session.get_one(VerdictReport, run.id)).due_at = lease

    host.service.while_clients_wait = claim
    await report(host)

    assert await due_at(host, run) == lease
    assert len(host.service.statuses) == 1


async def test_waiver_is_put_into_the_section(host: Host) -> None:
    await define(host, FAILS)
    run = await performed(host, await integrate_app(host))
    await waive(host, run)

    await report(host)

    [pull] = host.service.pulls
    assert "**Refuted: 1 check fails**" in pull["body"]
    assert "A member accepts this work all the same." in pull["body"]


async def test_section_is_about_the_run_that_pushed_last(host: Host) -> None:
    """Regression: a later waiver of an earlier run replaced the verdict of the last one."""
    await define(host, FAILS)
    earlier = await host.perform(await integrate_app(host))
    await verify(host)
    last = await correct(host, earlier)
    await report(host)
    await waive(host, await host.workshop.read(earlier))
    changes = host.service.asked("PATCH", "/pulls/")

    await report(host)

    [pull] = host.service.pulls
    assert "**Verified (1 check)**" in pull["body"]
    assert host.service.asked("PATCH", "/pulls/") == changes, "it is not replaced and put back"
    check_runs = {check_run["external_id"]: check_run for check_run in host.service.check_runs}
    assert check_runs[str(last.id)]["conclusion"] == "success"
    assert check_runs[str(earlier.id)]["conclusion"] == "failure"
    assert "A member accepts this work" in check_runs[str(earlier.id)]["output"]["summary"]


@pytest.fixture
def meanwhile(host: Host, engine: AsyncEngine) -> Meanwhile:
    """Have a step begin while a client waits for what the host knows of pull requests; it is over with the block."""

    @asynccontextmanager
    async def meanwhile(step: Step) -> AsyncGenerator[None, None]:
        begun: list[asyncio.Future[Any]] = []

        def has_looked() -> bool:
            looks = [
                each for each in statements if each.sql.startswith("SELECT pushed_branches.writing_until")
            ]
            return len(looks) > 1 or begun[0].done()

        async def begin() -> None:
            method, path, _ = host.service.requests[-1]
            if method == "GET" and path.endswith("/pulls"):
                host.service.while_clients_wait = None
                begun.append(asyncio.ensure_future(step()))
                await eventually(has_looked)

        async with recorded(engine) as statements:
            host.service.while_clients_wait = begin
            yield
            await begun[0]

    return meanwhile


@pytest.mark.parametrize("is_report_first", [True, False])
async def test_reports_and_runs_write_one_after_the_other(
    host: Host, meanwhile: Meanwhile, is_report_first: bool
) -> None:
    """Regression: the later one put back the text that it had read before the other changed it.

    So the words of a run were those of an earlier one, or the section was missing, as if people had removed it.
    """
    await define(host, FAILS)
    earlier = await host.perform(await host.integrate(token=TOKEN))
    await verify(host)
    steps: list[Step] = [partial(report, host), partial(correct, host, earlier)]
    first, second = steps if is_report_first else reversed(steps)

    async with meanwhile(second):
        await first()
    await report(host)

    [pull] = host.service.pulls
    assert "Said bye." in pull["body"]
    assert "**Verified (1 check)**" in pull["body"]
    assert "**Refuted" not in pull["body"]
    async with unit_of_work(host.workshop.sessions) as session:
        later = (await session.scalars(select(Run).where(Run.id != earlier.id))).one()
    said = re.findall(r"The pull request (waits|goes on)|(Pull request: )", await host.log_of(later))
    waits = [("waits", ""), ("goes on", "")] if is_report_first else []
    assert said == [*waits, ("", "Pull request: ")]
