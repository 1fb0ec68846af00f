"""What a run delivers is checked in fresh clones, and what follows from the verdict (contract 18.3, 18.5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import RunRef
from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Event, Run, Task, Verification
from app.services.runs.verification_attempts import verification_lifecycle
from app.worker.jobs.execute_run import execute_run
from app.worker.jobs.verify_run import verify_run
from tests.fixtures.worker import Repositories, Workshop
from tests.support.database.faults import refusing_some
from tests.support.database.queries import recorded
from tests.support.verification import make_check_set

_NAME = "acme/shop"
_CHANGE = "```sh\necho changed > README.md\n```"


async def define(workshop: Workshop, **definitions: Any) -> None:
    async with unit_of_work(workshop.sessions) as session:
        await make_check_set(session, project=workshop.project, repository=_NAME, **definitions)


async def perform(workshop: Workshop, run: Run) -> None:
    await execute_run(workshop.arq_context, run_id=str(run.id))


async def verify(workshop: Workshop) -> None:
    await verify_run({**workshop.arq_context, "job_id": "verify_run:test"})


async def move(workshop: Workshop, run: Run, repository: str | None) -> None:
    """Name another repository in the task of a run, or none."""
    async with unit_of_work(workshop.sessions) as session:
        await session.execute(update(Task).where(Task.id == run.task_id).values(repository=repository))


def shown(run: Run) -> dict[str, Any]:
    assert run.verification is not None
    return run.verification


async def events_of(workshop: Workshop, run: Run) -> list[tuple[str, dict[str, Any]]]:
    async with unit_of_work(workshop.sessions) as session:
        rows = await session.execute(
            select(Event.type, Event.data).where(Event.run_id == run.id).order_by(Event.subject_seq)
        )
        return [(type_, data) for type_, data in rows]


async def test_run_waits_for_its_checks_and_is_completed_as_verified(
    workshop: Workshop, repositories: Repositories
) -> None:
    repositories.create(_NAME, {"README.md": "before\n"})
    await define(workshop, checks=[{"id": "tests", "run": ["grep", "changed", "README.md"]}])
    run = await workshop.queued_run(_CHANGE, repository=_NAME)

    await perform(workshop, run)
    waiting = await workshop.read(run)
    assert (waiting.status, waiting.stage, waiting.output) == (RunStatus.IN_PROGRESS, "verifying", None)
    assert shown(waiting)["verdict"] is None

    await verify(workshop)
    ended = await workshop.read(run)
    assert (ended.status, ended.stage) == (RunStatus.COMPLETED, None)
    assert shown(ended)["verdict"] == "verified"
    assert ended.output is not None
    assert ended.output["verification"] == {"verdict": "verified", "reasons": []}
    assert [type_ for type_, _ in await events_of(workshop, run)] == [
        "run.started",
        "run.artifact_added",
        "verification.started",
        "run.artifact_added",
        "verification.finished",
        "run.completed",
    ]


async def delivered(workshop: Workshop, repositories: Repositories) -> Run:
    """Return a run that has delivered, and waits for a check that passes."""
    repositories.create(_NAME, {"README.md": "before\n"})
    await define(workshop, checks=[{"id": "tests", "run": ["grep", "changed", "README.md"]}])
    run = await workshop.queued_run(_CHANGE, repository=_NAME)
    await perform(workshop, run)
    return run


@pytest.mark.parametrize("repository", [None, "acme/other"])
async def test_work_is_checked_where_it_was_pushed(
    workshop: Workshop, repositories: Repositories, repository: str | None
) -> None:
    """Regression: a task that was given another repository, or none, meanwhile left its run without a verdict."""
    run = await delivered(workshop, repositories)
    await move(workshop, run, repository)

    await verify(workshop)
    ended = await workshop.read(run)
    assert (ended.status, shown(ended)["verdict"]) == (RunStatus.COMPLETED, "verified")

    async with unit_of_work(workshop.sessions) as session:
        await verification_lifecycle.reopen(session, run.id, shown(ended)["commit"], shown(ended)["base"])
    await verify(workshop)
    again = shown(await workshop.read(run))
    assert (again["attempts"], again["verdict"]) == (2, "verified")


async def test_attempt_that_meets_an_unexpected_error_ends_at_once(
    workshop: Workshop, repositories: Repositories, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: it was left to its lease, three times."""
    run = await delivered(workshop, repositories)
    async with unit_of_work(workshop.sessions) as session:
        damaged = Verification.definitions.op("||")({"checks": "unreadable"})
        await session.execute(update(Verification).values(definitions=damaged))

    await verify(workshop)

    ended = await workshop.read(run)
    assert (ended.status, shown(ended)["verdict"]) == (RunStatus.COMPLETED, "inconclusive")
    assert [(check["status"], check["cause"]) for check in shown(ended)["checks"]] == [("error", "worker")]
    assert "verification.unexpected_error" in caplog.text


async def test_attempt_whose_time_ends_before_its_first_check_says_so(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: the reason had no detail, and the log no line."""
    run = await delivered(workshop, repositories)
    settings = workshop.context.process.settings.model_copy(update={"verification_timeout_seconds": 0})

    await verify(workshop.with_process(settings=settings))

    ended = await workshop.read(run)
    told = "The checks had not begun after 0 seconds."
    assert shown(ended)["reasons"] == [{"code": "setup_failed", "check": None, "detail": told}]
    assert told in await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)


class TimingOutStore(ObjectStore):
    """A store in which a write of the output of checks meets a time limit of its own."""

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        if "-execution-" in key:
            raise TimeoutError
        await super().put(key, body, content_type=content_type, tags=tags)


async def test_time_limit_of_a_step_is_not_shown_as_the_deadline_of_the_attempt(
    workshop: Workshop, repositories: Repositories, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: checks that had hours left were shown as ended by the deadline."""
    run = await delivered(workshop, repositories)

    async with TimingOutStore(workshop.context.process.settings) as store:
        await verify(workshop.with_process(store=store))

    ended = await workshop.read(run)
    assert shown(ended)["verdict"] == "inconclusive"
    assert [check["cause"] for check in shown(ended)["checks"]] == ["worker"]
    assert "verification.unexpected_error" in caplog.text


async def test_attempt_that_the_database_fails_is_left_to_its_lease(
    workshop: Workshop, repositories: Repositories, engine: AsyncEngine
) -> None:
    run = await delivered(workshop, repositories)

    async with refusing_some(engine, "verifications", "NEW.shown #>> '{checks,0,status}' = 'running'"):
        with pytest.raises(DBAPIError):
            await verify(workshop)

    waiting = await workshop.read(run)
    assert (waiting.status, shown(waiting)["verdict"]) == (RunStatus.IN_PROGRESS, None)


async def test_logs_of_checks_do_not_pass_the_limit_of_a_run(
    workshop: Workshop, repositories: Repositories
) -> None:
    run = await delivered(workshop, repositories)
    async with unit_of_work(workshop.sessions) as session:
        files = [{"id": f"{number:032}", "storage_path": f"{number}"} for number in range(1000)]
        await session.execute(update(Run).where(Run.id == run.id).values(artifacts=files))

    await verify(workshop)

    ended = await workshop.read(run)
    assert (shown(ended)["verdict"], len(ended.artifacts)) == ("verified", 1000)
    assert shown(ended)["checks"][0]["log_artifact_id"] is None
    log = await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
    assert "tests-attempt-1-execution-1.log is left out: the run has as many files as it may have." in log


async def test_output_with_characters_that_cannot_be_stored_is_shown_without_them(
    workshop: Workshop, repositories: Repositories
) -> None:
    repositories.create(_NAME, {"README.md": "before\n"})
    await define(workshop, checks=[{"id": "tests", "shell": "printf 'a\\0b' && test -s README.md"}])
    run = await workshop.queued_run(_CHANGE, repository=_NAME)

    await perform(workshop, run)
    await verify(workshop)

    assert shown(await workshop.read(run))["verdict"] == "verified"
    async with unit_of_work(workshop.sessions) as session:
        (attempt,) = await session.scalars(select(Verification))
    assert attempt.shown["checks"][0]["tail"] == "a\ufffdb"


# As many as before there were checks. Not counted is what is written as often as time passes.
_ASKED = {"delivers": (_CHANGE, 21), "delivers nothing": ("```say\nhi\n```", 18)}
_OF_TIME = (
    "INSERT INTO run_logs",
    "UPDATE run_logs",
    "UPDATE runs SET lease_expires_at",
    "UPDATE runs SET facts=",
)


@pytest.mark.parametrize(("work", "count"), _ASKED.values(), ids=_ASKED)
async def test_run_without_checks_asks_the_database_no_more_than_one_without_verification(
    workshop: Workshop, repositories: Repositories, engine: AsyncEngine, work: str, count: int
) -> None:
    repositories.create(_NAME, {"README.md": "before\n"})
    run = await workshop.queued_run(work, repository=_NAME)

    async with recorded(engine) as statements:
        await perform(workshop, run)

    assert (await workshop.read(run)).status == RunStatus.COMPLETED
    asked = {each.sql for each in statements if not each.sql.startswith(_OF_TIME)}
    assert len(asked) == count, "\n".join(sorted(asked))
