"""What a reference to a task or a run means to the caller (contract 6.13)."""

from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.ids import new_id
from app.models import Project, User
from tests.support.assertions import assert_error, assert_invalid, assert_not_found
from tests.support.factories import make_project, make_run, make_task, make_user


@pytest.fixture
def url(project: Project) -> str:
    return f"/api/projects/{project.id}/resolve"


async def resolve(client: httpx.AsyncClient, url: str, kind: str, ref: str) -> dict[str, str | None]:
    response = await client.get(url, params={"kind": kind, "ref": ref})
    assert response.status_code == 200, response.text
    ids: dict[str, str | None] = response.json()
    return ids


async def test_names_of_a_task(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, url: str
) -> None:
    id_ = UUID("0a1b2c3d-4e5f-7a6b-8c7d-9e8f0a1b2c3d")
    task = await make_task(session, project=project, created_by=owner, id=id_, task_number=41)
    run = await make_run(session, task=task)
    for ref in ("41", "TES-41", "tes-41", str(id_), id_.hex.upper(), "0a1b2c", "0A1B2C3D-4", "@latest"):
        assert await resolve(client, url, "task", ref) == {"task": str(id_), "run": None}, ref
    for ref in ("41", "TES-41", str(id_), "0a1b2c", str(run.id)):
        assert await resolve(client, url, "run", ref) == {"task": str(id_), "run": str(run.id)}, ref
    for ref in ("42", "OTHER-41", "041", "0a1b2", "0a1b2e", str(new_id()), "@newest", "a title"):
        assert_not_found(await client.get(url, params={"kind": "task", "ref": ref}))


async def test_a_number_may_begin_an_id_where_no_task_has_it(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, url: str
) -> None:
    begun = await make_task(
        session, project=project, created_by=owner, id=UUID("12345678-0000-7000-8000-000000000001")
    )
    assert (await resolve(client, url, "task", "123456"))["task"] == str(begun.id)
    numbered = await make_task(session, project=project, created_by=owner, task_number=123456)
    assert (await resolve(client, url, "task", "123456"))["task"] == str(numbered.id)


async def test_more_than_one_match_is_refused(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, url: str
) -> None:
    ids = [UUID(f"abcdef01-0000-7000-8000-00000000000{number}") for number in (1, 2)]
    first, second = [await make_task(session, project=project, created_by=owner, id=id_) for id_ in ids]
    await make_run(session, task=first, id=UUID("abcdef02-0000-7000-8000-000000000001"))
    response = await client.get(url, params={"kind": "task", "ref": "abcdef"})
    assert_error(response, 409, type="invalid_request", code="ambiguous_reference", detail=None)
    assert (await resolve(client, url, "task", second.id.hex))["task"] == str(second.id)
    # The run, and the task whose latest it is: one.
    assert (await resolve(client, url, "run", "abcdef"))["task"] == str(first.id)
    await make_run(session, task=second)
    response = await client.get(url, params={"kind": "run", "ref": "abcdef"})
    assert_error(response, 409, type="invalid_request", code="ambiguous_reference", detail=None)


async def test_only_what_the_caller_sees_here(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, url: str
) -> None:
    hidden = await make_task(session, project=project, created_by=await make_user(session))
    elsewhere = await make_task(session, project=await make_project(session), created_by=owner)
    hidden_run = await make_run(session, task=hidden)
    for task in (hidden, elsewhere):
        assert_not_found(await client.get(url, params={"kind": "task", "ref": str(task.id)}))
    for id_ in (hidden.id, hidden_run.id):
        assert_not_found(await client.get(url, params={"kind": "run", "ref": str(id_)}))
    assert_not_found(await client.get(url, params={"kind": "task", "ref": "@latest"}))


async def test_latest_is_the_callers_own(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, url: str
) -> None:
    now = utcnow()
    older = await make_task(session, project=project, created_by=owner, created_at=now - timedelta(hours=1))
    newer = await make_task(session, project=project, created_by=owner, created_at=now)
    await make_task(session, project=project, created_by=None, created_at=now + timedelta(hours=1))
    mine = await make_run(session, task=older, asked_by_id=owner.id)
    await make_run(session, task=newer, asked_by_id=None, created_at=now + timedelta(hours=1))
    assert (await resolve(client, url, "task", "@latest"))["task"] == str(newer.id)
    assert await resolve(client, url, "run", "@latest") == {"task": str(older.id), "run": str(mine.id)}


async def test_a_task_without_a_run_is_no_run(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, url: str
) -> None:
    task = await make_task(session, project=project, created_by=owner)
    response = await client.get(url, params={"kind": "run", "ref": str(task.id)})
    assert_not_found(response, "The task has no run.")


async def test_parameters(client: httpx.AsyncClient, url: str) -> None:
    assert_invalid(await client.get(url, params={"ref": "1"}), "kind", "required")
    assert_invalid(await client.get(url, params={"kind": "tasks", "ref": "1"}), "kind", "invalid_choice")
    assert_invalid(await client.get(url, params={"kind": "task"}), "ref", "required")
    assert_invalid(await client.get(url, params={"kind": "task", "ref": "x" * 65}), "ref", "max_length")
