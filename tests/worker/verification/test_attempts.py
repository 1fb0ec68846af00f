"""What a run delivers is checked in fresh clones, and what follows from the verdict (contract 18.3, 18.5)."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clock import utcnow
from app.db import unit_of_work
from app.enums import RunStatus
from app.ids import new_id
from app.models import CheckSet, Event, Run, Verification
from app.schemas.verification.check_sets import DefinitionsIn
from app.verification.definitions import CHECK_SET
from app.worker.jobs.execute_run import execute_run
from app.worker.jobs.verify_run import verify_run
from tests.fixtures.worker import Repositories, Workshop
from tests.support.database.queries import recorded

_NAME = "acme/shop"
_CHANGE = "```sh\necho changed > README.md\n```"


async def define(workshop: Workshop, **definitions: Any) -> None:
    async with unit_of_work(workshop.sessions) as session:
        defined = DefinitionsIn.model_validate(definitions).defined
        session.add(
            CheckSet(
                id=new_id(),
                project_id=workshop.project.id,
                repository=_NAME,
                definition=CHECK_SET.dump_python(defined, mode="json"),
                created_at=utcnow(),
                updated_at=utcnow(),
            )
        )


async def perform(workshop: Workshop, run: Run) -> None:
    await execute_run(workshop.arq_context, run_id=str(run.id))


async def verify(workshop: Workshop) -> None:
    await verify_run({**workshop.arq_context, "job_id": "verify_run:test"})


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
