"""The number of statements of requests about tasks, none of which reads a large table from end to end."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clock import utcnow
from app.config import Settings
from app.db import create_engine, create_session_factory, unit_of_work
from app.main import create_app
from app.models import Project, Task, User
from app.runtime import ProcessContext
from tests.fixtures.database import Databases
from tests.support.callers import Caller, CallerKind, Cast, bearer, make_cast
from tests.support.database.plans import custom_plan, generic_plan
from tests.support.database.queries import Statement, recorded
from tests.support.factories import (
    make_integration,
    make_key,
    make_run,
    make_signal_report,
    make_task,
    make_user,
    make_user_integration,
)
from tests.support.waiting import eventually
from tests.support.web.clients import in_process_client
from tests.support.web.polls import poll

pytestmark = pytest.mark.slow


def behind_authentication(statements: list[Statement]) -> list[Statement]:
    """Return the statements without the one of authentication."""
    rest = [statement for statement in statements if "api_keys" not in statement.sql]
    assert len(rest) == len(statements) - 1
    return rest


class TestBudget:
    """A fixed number of statements for any number of rows."""

    # Ten are twice as many as any budget: a statement for each of them is seen.
    @pytest.fixture(params=[1, 10])
    async def task_id(
        self, request: pytest.FixtureRequest, session: AsyncSession, project: Project, owner: User
    ) -> str:
        """The last of some tasks that have as many runs each."""
        identifier = ""
        for number in range(request.param):
            creator = owner if number % 2 == 0 else await make_user(session, projects=[project])
            task = await make_task(
                session, project=project, created_by=creator, origin_product="onboarding", repository="o/r"
            )
            for _ in range(min(request.param, 3)):
                await make_run(session, task=task)
            identifier = str(task.id)
        return identifier

    async def test_requests_stay_within_their_statements(
        self, client: httpx.AsyncClient, engine: AsyncEngine, tasks_url: str, task_id: str
    ) -> None:
        for method, path, body, budget in (
            ("GET", "/{task}", None, 2),
            ("GET", "", None, 1),
            ("GET", "?archived=all", None, 1),
            ("GET", "?offset=1", None, 3),
            ("GET", "?search=task&repository=r", None, 3),
            ("GET", "?ordering=-last_activity_at", None, 1),
            ("GET", "?ordering=verdict", None, 1),
            ("GET", "?verdict=refuted&ci_status=none", None, 3),
            ("GET", "?internal=all&ordering=-last_activity_at&status=queued", None, 3),
            ("POST", "", {"title": "x"}, 4),
            ("PATCH", "/{task}", {"title": "x"}, 4),
            ("POST", "/summaries", {"ids": [task_id]}, 3),
            ("GET", "/repositories", None, 2),
            ("GET", "/{task}/runs", None, 3),
            ("POST", "/{task}/run", {}, 5),
            ("GET", "/search?q=task", None, 4),
            ("POST", "/{task}/pin", {"pinned": True}, 2),
            ("GET", "/pinned", None, 1),
            ("GET", "/{task}/usage", None, 1),
            ("GET", "/models", None, 0),
            ("POST", "/bulk", {"action": "archive", "ids": [task_id]}, 3),
            ("DELETE", "/{task}", None, 5),
        ):
            async with recorded(engine) as statements:
                response = await client.request(method, tasks_url + path.format(task=task_id), json=body)
            sent = behind_authentication(statements)
            assert response.is_success, (method, path, response.text)
            assert len(sent) <= budget, (method, path, sent)

    async def test_requests_about_a_run_stay_within_their_statements(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        engine: AsyncEngine,
        tasks_url: str,
        task_id: str,
    ) -> None:
        artifact = {"id": "a", "name": "a.txt", "storage_path": "a/a.txt", "size": 1, "content_type": ""}
        task = await session.get_one(Task, UUID(task_id))
        run = await make_run(session, task=task, artifacts=[artifact])
        # The key that signs tokens is made at the first request.
        await client.get(f"{tasks_url}/{task_id}/runs/{run.id}/stream_token")
        for method, path, body, budget in (
            ("GET", "", None, 1),
            ("GET", "/stream_token", None, 2),
            ("GET", "/questions", None, 2),
            ("GET", "/artifacts/a/download", None, 1),
            ("POST", "/artifacts/dismiss", {"artifact_ids": ["a"]}, 2),
            ("POST", "/cancel", None, 11),
        ):
            async with recorded(engine) as statements:
                response = await client.request(
                    method, f"{tasks_url}/{task_id}/runs/{run.id}{path}", json=body
                )
            sent = behind_authentication(statements)
            assert response.status_code < 400, (method, path, response.text)
            assert len(sent) <= budget, (method, path, sent)

    @pytest.mark.usefixtures("task_id")
    async def test_activity_is_one_statement_and_marks_of_it_are_two(
        self, client: httpx.AsyncClient, engine: AsyncEngine, project: Project
    ) -> None:
        url = f"/api/projects/{project.id}/task_activity"
        async with recorded(engine) as statements:
            rows = (await client.get(url)).json()["results"]
        assert len(behind_authentication(statements)) == 1
        seen = [{"task_id": row["task_id"], "seen_before": row["activity_at"]} for row in rows]
        async with recorded(engine) as statements:
            response = await client.post(f"{url}/mark_read", json={"activities": seen})
        assert response.json()["unread_count"] == 0
        assert len(behind_authentication(statements)) == 2

    async def test_create_with_everything_stays_within_four(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        engine: AsyncEngine,
        project: Project,
        owner: User,
        tasks_url: str,
    ) -> None:
        integration = await make_integration(session, project=project)
        linked = await make_user_integration(session, user=owner)
        report = await make_signal_report(session, project=project)
        body = {
            "description": "x",
            "repository": "org/repo",
            "github_integration": integration.id,
            "signal_report": str(report.id),
        }
        for more in (
            {"origin_product": "signal_report", "signal_report_task_relationship": "implementation"},
            {"github_user_integration": str(linked.id)},
        ):
            async with recorded(engine) as statements:
                response = await client.post(tasks_url, json=body | more)
            assert response.status_code == 201
            assert len(behind_authentication(statements)) <= 4

    async def test_no_list_is_more_than_three_statements(
        self, client: httpx.AsyncClient, engine: AsyncEngine, tasks_url: str, task_id: str
    ) -> None:
        """Asked for the first time, again, for another page, for none, and when something has changed."""
        forms = ["", "archived=all", "archived=true", "internal=true", "search=task", "search=TES-1"]
        forms += ["status=queued", "stage=build", "repository=o/r", "organization=o&search=nowhere"]
        pages = ["", "offset=1", "limit=1&offset=2", "offset=1000", ""]
        sent: dict[str, int] = {}
        for form in forms:
            for step, page in enumerate([*pages, *pages]):
                url = f"{tasks_url}?{form}&{page}"
                if step == len(pages):
                    changed = await client.patch(f"{tasks_url}/{task_id}", json={"title": f"task {form}"})
                    assert changed.is_success
                async with recorded(engine) as statements:
                    assert (await client.get(url)).status_code == 200
                count = len(statements) - sum("api_keys" in statement.sql for statement in statements)
                sent[f"{step} {url}"] = count
        assert {url: count for url, count in sent.items() if count > 3} == {}
        assert set(sent.values()) == {1, 3}

    @pytest.mark.usefixtures("task_id")
    async def test_filter_that_was_asked_for_before_is_one_statement_that_looks_for_nothing(
        self, client: httpx.AsyncClient, engine: AsyncEngine, tasks_url: str
    ) -> None:
        query = {"search": "task", "origin_product": "onboarding"}
        first = await client.get(tasks_url, params=query)
        async with recorded(engine) as statements:
            again = await client.get(tasks_url, params=query)
        assert again.content == first.content
        [shown] = (statement.sql for statement in statements if "api_keys" not in statement.sql)
        assert "task_counts" in shown
        assert "ILIKE" not in shown


# One task in a thousand holds this word.
RARE_WORD = "xylophone"

# What would be looked up or written for each row is taken away before, and made again at once for all rows.
_KEYS = """
SELECT conrelid::regclass AS table, conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
WHERE contype = 'f' AND conrelid IN ('tasks'::regclass, 'runs'::regclass) ORDER BY name
"""
_INDEXES = """
SELECT indexname AS name, indexdef AS definition FROM pg_indexes
WHERE tablename IN ('tasks', 'runs') AND starts_with(indexname, 'ix_') ORDER BY name
"""
_TASKS = """
INSERT INTO users (uuid, distinct_id, email, date_joined)
    SELECT gen_random_uuid(), 'user' || i, 'user' || i || '@example.com', now() FROM generate_series(1, 50) i;
INSERT INTO tasks (
    id, project_id, task_number, created_by_id, title, title_manually_set, description, origin_product, repository,
    internal, archived, archived_at, created_at, updated_at, deleted, deleted_at, latest_run_id, latest_run_status,
    ci_prompt, last_activity_at, activity_at, activity_kind, activity_subject_id, verdict_urgency, latest_run_ci
)
SELECT
    md5('task' || i)::uuid,
    {project},
    i,
    CASE WHEN i % 5 = 0 THEN {owner} ELSE (SELECT min(id) FROM users) + 1 + i % 50 END,
    'Task ' || i || CASE WHEN i % 1000 = 0 THEN ' xylophone' ELSE ' about ' || left(md5(i::text), 6) END,
    true,
    'Do something about ' || left(md5('description' || i), 8),
    CASE WHEN i % 5 < 3 THEN 'user_created'
        ELSE (ARRAY['slack', 'error_tracking', 'onboarding', 'hogdesk', 'automation'])[1 + i % 7 % 5] END,
    CASE WHEN i % 10 < 5 THEN 'main/product' WHEN i % 10 < 8 THEN 'org' || i % 40 || '/repo' || i % 400 END,
    i % 50 = 0,
    i % 20 = 0,
    CASE WHEN i % 20 = 0 THEN now() END,
    now() - (200000 - i) * interval '1 second',
    now() - (200000 - i) * interval '1 second',
    i % 30 = 0,
    CASE WHEN i % 30 = 0 THEN now() END,
    CASE WHEN i % 2 = 0 THEN md5('run' || i)::uuid END,
    CASE WHEN i % 2 = 0 THEN
        (ARRAY['completed', 'completed', 'completed', 'failed', 'cancelled', 'queued', 'in_progress'])[1 + i % 7]
    END,
    repeat('As wide as rows that people write. ', 20),
    now() - (i * 7919 % 100000) * interval '1 second',
    CASE WHEN i % 2 = 0 THEN now() - (i * 7919 % 100000) * interval '1 second' END,
    CASE WHEN i % 2 = 0 THEN 'completed' END,
    CASE WHEN i % 2 = 0 THEN md5('run' || i)::uuid END,
    CASE WHEN i % 500 = 0 THEN 4 WHEN i % 100 = 0 THEN 3 WHEN i % 10 = 0 THEN 1 WHEN i % 2 = 0 THEN 2 ELSE 0 END,
    CASE WHEN i % 200 = 0 THEN 'failure' WHEN i % 10 = 0 THEN 'success' END
FROM generate_series(1, 100000) i
"""
_RUNS = """
INSERT INTO runs (id, task_id, project_id, status, environment, stage, created_at, updated_at, completed_at,
                  output, artifacts)
SELECT
    latest_run_id, id, project_id, latest_run_status, 'cloud',
    CASE WHEN task_number % 100 = 0 THEN 'build' WHEN task_number % 3 = 0 THEN 'plan' END,
    created_at, updated_at, CASE WHEN latest_run_status NOT IN ('queued', 'in_progress') THEN updated_at END,
    jsonb_build_object('pr_url', 'https://example.com/acme/shop/pull/' || task_number),
    jsonb_build_array(jsonb_build_object(
        'id', task_number, 'name', 'report-' || task_number || '.txt', 'type', 'output', 'size', 1, 'content_type', ''
    ))
FROM tasks WHERE latest_run_id IS NOT NULL
"""
# As the triggers would have it, once a worker has added up their rows.
_COUNTS = """
INSERT INTO task_counts (project_id, audience, archived, internal, tasks, changes, folded)
SELECT project_id, audience, archived, internal, count(*), 1, true FROM tasks WHERE NOT deleted GROUP BY 1, 2, 3, 4
"""

_COUNTER = """
INSERT INTO task_counters (project_id, next_number) VALUES ($1, 100001)
ON CONFLICT (project_id) DO UPDATE SET next_number = excluded.next_number
"""

# Every filter, and the index that a search must use.
QUERIES: list[tuple[dict[str, str], str | None]] = [
    ({}, None),
    ({"offset": "1000"}, None),
    ({"offset": "60000"}, None),
    ({"archived": "true"}, None),
    ({"archived": "all"}, None),
    ({"internal": "true"}, None),
    ({"created_by": "{owner}"}, None),
    ({"created_by": "{other}"}, None),
    ({"created_by": "999999999"}, None),
    ({"organization": "org7"}, None),
    ({"organization": "main"}, None),
    ({"organization": "nowhere"}, None),
    ({"repository": "org7/repo7"}, None),
    ({"repository": "main/product"}, None),
    ({"repository": "repo7"}, None),
    ({"repository": "product"}, None),
    ({"repository": "nowhere"}, None),
    ({"origin_product": "slack"}, None),
    ({"origin_product": "user_created"}, None),
    ({"origin_product": "nowhere"}, None),
    ({"stage": "build"}, None),
    ({"stage": "plan"}, None),
    ({"stage": "nowhere"}, None),
    ({"status": "queued"}, None),
    ({"status": "completed"}, None),
    ({"status": "not_started"}, None),
    ({"search": RARE_WORD}, "ix_tasks_search"),
    ({"search": "no such words"}, "ix_tasks_search"),
    ({"search": "TES-4242"}, "uq_tasks_project_id_task_number"),
    ({"search": RARE_WORD, "archived": "all"}, "ix_tasks_search"),
    ({"search": RARE_WORD, "origin_product": "slack"}, None),
    ({"internal": "all"}, None),
    ({"ordering": "-last_activity_at"}, None),
    ({"ordering": "-last_activity_at", "offset": "1000"}, None),
    ({"ordering": "-last_activity_at", "archived": "all", "internal": "all"}, None),
    ({"ordering": "-last_activity_at", "status": "completed"}, None),
    ({"ordering": "-last_activity_at", "search": RARE_WORD}, "ix_tasks_search"),
    ({"ordering": "-last_activity_at", "organization": "org7"}, None),
    ({"verdict": "claimed"}, None),
    ({"verdict": "refuted"}, None),
    ({"verdict": "verified", "offset": "1000"}, None),
    ({"ci_status": "failure"}, None),
    ({"ci_status": "none"}, None),
    ({"ordering": "verdict"}, None),
    ({"ordering": "verdict", "offset": "1000"}, None),
    ({"ordering": "verdict", "archived": "all", "internal": "all"}, None),
    ({"ordering": "verdict", "verdict": "refuted"}, None),
    ({"ordering": "verdict", "status": "completed"}, None),
    ({"status": "failed", "origin_product": "slack", "organization": "org7"}, None),
]
PARTS = {"ix_tasks_repository_owner", "ix_tasks_repository_name"}
_NUMBERS = "uq_tasks_project_id_task_number"
# What is searched for, and the index by which results of runs are found.
SEARCHES = [
    (RARE_WORD, "ix_runs_search"),
    ("pull/4242", "ix_runs_search"),
    ("report-4242", "ix_runs_search"),
    ("example.com", "ix_runs_project"),
    ("report", "ix_runs_project"),
    # Looked for in recent tasks, of which none may match: an index of all would be read to its end.
    ("rt", _NUMBERS),
    ("ou", _NUMBERS),
]


@asynccontextmanager
async def made_again_at_once(connection: asyncpg.Connection) -> AsyncGenerator[None, None]:
    """Drop keys, indexes and triggers of tasks and runs for the block; afterwards all are as migrations made them."""
    keys, indexes = await connection.fetch(_KEYS), await connection.fetch(_INDEXES)
    triggers = "ALTER TABLE tasks {0} TRIGGER USER; ALTER TABLE runs {0} TRIGGER USER"
    await connection.execute(triggers.format("DISABLE"))
    for key in keys:
        await connection.execute(f"ALTER TABLE {key['table']} DROP CONSTRAINT {key['name']}")
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    yield
    for index in indexes:
        await connection.execute(index["definition"])
    for key in keys:
        await connection.execute(
            f"ALTER TABLE {key['table']} ADD CONSTRAINT {key['name']} {key['definition']}"
        )
    await connection.execute(triggers.format("ENABLE"))
    assert (await connection.fetch(_KEYS), await connection.fetch(_INDEXES)) == (keys, indexes)


@pytest.fixture
def large_database(databases: Databases, worker_id: str) -> Generator[str, None, None]:
    """A database with a project of a hundred thousand tasks."""
    yield from databases.lend(f"{worker_id}_large")


@pytest.fixture
async def large_engine(large_database: str, settings: Settings) -> AsyncGenerator[AsyncEngine, None]:
    own = settings.model_copy(update={"database_url": large_database})
    engine = create_engine(own, application_name="taskbeacon-tests")
    yield engine
    await engine.dispose()


@pytest.fixture
async def large_cast(large_engine: AsyncEngine, large_database: str) -> Cast:
    """Users of the large project; the caller is staff, so that every filter is honoured."""
    async with unit_of_work(create_session_factory(large_engine)) as session:
        cast = await make_cast(session)
        user = await make_user(session, projects=[cast.project], is_staff=True)
        key = await make_key(session, user=user, last_used_at=utcnow())
        cast.callers[CallerKind.STAFF] = Caller(CallerKind.STAFF, user, bearer(key))
    connection = await asyncpg.connect(large_database.replace("+asyncpg", ""))
    async with made_again_at_once(connection):
        for step in (_TASKS, _RUNS, _COUNTS):
            await connection.execute(step.format(project=cast.project.id, owner=user.id))

    async def is_vacuumed() -> bool:
        """Any concurrent snapshot, such as the autovacuum's, keeps rows from counting as settled."""
        await connection.execute("VACUUM ANALYZE")
        settled = "SELECT relallvisible >= relpages FROM pg_class WHERE oid = 'tasks'::regclass"
        return bool(await connection.fetchval(settled))

    await eventually(is_vacuumed)
    await connection.close()
    return cast


async def test_every_list_of_a_large_project_answers_from_an_index(
    large_cast: Cast,
    large_database: str,
    large_engine: AsyncEngine,
    settings: Settings,
    process: ProcessContext,
) -> None:
    """The statements that the service really sends, planned for their parameters and for any."""
    application = create_app(
        settings, process=replace(process, sessions=create_session_factory(large_engine))
    )
    caller = large_cast.callers[CallerKind.STAFF]
    connection = await asyncpg.connect(large_database.replace("+asyncpg", ""))
    project_url = f"/api/projects/{large_cast.project.id}"
    url, activity_url = f"{project_url}/tasks", f"{project_url}/task_activity"
    wrong: list[str] = []
    async with in_process_client(application, headers=caller.headers) as client:
        for query, index in QUERIES:
            ids = {"owner": caller.user_id, "other": caller.user_id + 3}
            params = {name: value.format(**ids) for name, value in query.items()}
            async with recorded(large_engine) as statements:
                assert (await client.get(url, params=params)).status_code == 200
            for statement in behind_authentication(statements):
                if statement.sql.startswith("SET LOCAL"):
                    continue
                wrong += await faults(connection, params, statement, index)
        async with recorded(large_engine) as statements:
            assert len((await client.get(f"{url}/repositories")).json()["repositories"]) == 41
        [statement] = behind_authentication(statements)[-1:]
        wrong += await faults(connection, {"of": "repositories"}, statement, None)
        tag = (await client.get(url)).headers["etag"]
        async with recorded(large_engine) as statements:
            assert (await poll(client, url, tag)).status_code == 304
        [statement] = behind_authentication(statements)
        wrong += await faults(connection, {"poll": tag}, statement, None)
        if "pk_tasks" in (await generic_plan(connection, statement)).indexes:
            wrong.append(f"a poll looks tasks up twice: {statement.sql}")
        await connection.execute(_COUNTER, large_cast.project.id)
        for q, index in SEARCHES:
            async with recorded(large_engine) as statements:
                assert (await client.get(f"{url}/search", params={"q": q})).status_code == 200
            plans = [
                await custom_plan(connection, statement)
                for statement in behind_authentication(statements)
                if not statement.sql.startswith("SET LOCAL")
            ]
            used = {name for plan in plans for name in plan.indexes}
            # A tenth of all is recent here, so that a scan is no fault.
            is_short = index == _NUMBERS
            wrong += [
                f"{q} scans {plan.scanned}: {plan.sql}" for plan in plans if plan.scanned and not is_short
            ]
            if index not in used or (is_short and used & {"ix_tasks_all", "ix_runs_project"}):
                wrong.append(f"{q} uses {sorted(used)}")
        async with recorded(large_engine) as statements:
            feed = await client.get(activity_url)
        # Half of the tasks of the caller have a run that has ended, and are not read.
        assert len(feed.json()["results"]) == 100
        [statement] = behind_authentication(statements)
        wrong += await faults(connection, {"feed": "task_activity"}, statement, None)
        seen = [
            {"task_id": row["task_id"], "seen_before": row["activity_at"]} for row in feed.json()["results"]
        ]
        async with recorded(large_engine) as statements:
            marked = await client.post(f"{activity_url}/mark_read", json={"activities": seen[:50]})
        assert marked.json()["marked_read"] == 50
        plan = await generic_plan(connection, behind_authentication(statements)[0])
        if "ix_tasks_creator" in plan.indexes:
            wrong.append(f"marks read all tasks: {plan.sql}")
    await connection.close()
    assert wrong == []


async def faults(
    connection: asyncpg.Connection, params: dict[str, str], statement: Statement, index: str | None
) -> list[str]:
    """Return the faults in the plans of a statement, as lines to read."""
    found = []
    for name, plan in (
        ("custom", await custom_plan(connection, statement)),
        ("generic", await generic_plan(connection, statement)),
    ):
        if "tasks" in plan.scanned:
            found.append(f"{params}: {name} plan scans tasks: {plan.sql}")
        # Regression: a tenth of a large project was read to count it.
        if len(params) == 1 and plan.visited_by & PARTS:
            found.append(f"{params}: {name} plan reads what it counts: {plan.sql}")
        searches = name == "custom" and "ILIKE" in statement.sql
        if searches and index is not None and index not in plan.indexes:
            found.append(f"{params}: {name} plan uses {sorted(plan.indexes)}: {plan.sql}")
    return found
