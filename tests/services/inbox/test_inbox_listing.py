"""The cost of an inbox: as many statements, and as much reading, whether few or many questions are open."""

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.ids import new_id
from app.models import Project, User
from tests.support.database.plans import custom_plan, generic_plan
from tests.support.database.queries import Statement, recorded
from tests.support.factories import make_task
from tests.support.questions import make_question

_MANY = """
INSERT INTO questions (id, project_id, task_id, run_id, task_creator_id, request_id, kind, title, detail, options, risk,
    urgency, digest, opened_at, status)
SELECT gen_random_uuid(), project_id, task_id, run_id, task_creator_id, 'copy ' || n, kind, title, detail, '[]', risk, (ARRAY['normal', 'high', 'low'])[1 + n % 3], digest, opened_at + n * interval '1 second', status
FROM questions, generate_series(2, 200) n
"""


@pytest.fixture
async def many_questions(session: AsyncSession, project: Project, owner: User) -> None:
    """Ten thousand open questions of the owner, on fifty tasks; short ones, which a planner may rather read all."""
    for _ in range(50):
        await make_question(session, task=await make_task(session, project=project, created_by=owner))
    await session.execute(text(_MANY))
    # All tables: what is known of the others, and dead rows, may be left from an earlier test.
    await session.execute(text("VACUUM (ANALYZE)"))


async def asked(client: httpx.AsyncClient, engine: AsyncEngine, query: str = "") -> list[Statement]:
    async with recorded(engine) as statements:
        response = await client.get(f"/api/users/@me/inbox/{query}")
        assert response.status_code == 200, response.text
    return statements


@pytest.mark.usefixtures("many_questions")
async def test_page_reads_the_rows_that_it_shows(
    client: httpx.AsyncClient, engine: AsyncEngine, database_url: str
) -> None:
    page = (await client.get("/api/users/@me/inbox/?limit=5")).json()
    assert (page["count"], page["open_count"]) == (10_000, 10_000)
    assert {row["urgency"] for row in page["results"]} == {"high"}
    statements = await asked(client, engine)
    # The key and the page.
    assert len(statements) == 2
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        # The API asks for the second: it joined the page with all questions where these were short.
        plans = [await plan_of(connection, statements[-1]) for plan_of in (custom_plan, generic_plan)]
    finally:
        await connection.close()
    for plan in plans:
        assert "questions" not in plan.scanned, plan.root
        assert "ix_questions_inbox" in plan.indexes, plan.root


@pytest.mark.usefixtures("many_questions")
async def test_filters_and_history_are_one_statement_too(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    for query in ("?status=all", "?kind=form", "?offset=9990", "?project_id=1"):
        assert len(await asked(client, engine, query)) == 2


@pytest.mark.usefixtures("many_questions")
async def test_deleted_command_is_looked_for_by_an_index(database_url: str) -> None:
    """The foreign key is checked for each command of a deleted run; each check read all questions."""
    check = Statement("UPDATE questions SET command_id = NULL WHERE command_id = $1", (new_id(),))
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        plan = await custom_plan(connection, check)
    finally:
        await connection.close()
    assert (plan.scanned, plan.indexes) == (set(), {"ix_questions_command"})
