"""Bounds on the data that clients write into a run: lists of all callers carry it, so memory is at stake."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Text, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.api_limits import RUN_OUTPUT_BYTES, RUN_STATE_BYTES
from app.enums import Environment
from app.models import Run, Task
from tests.support.factories import make_run

pytestmark = pytest.mark.walls

LARGE_STATE = {"error": f"Run state exceeds the limit of {RUN_STATE_BYTES} bytes"}
LARGE_OUTPUT = {"error": f"Run output exceeds the limit of {RUN_OUTPUT_BYTES} bytes"}
HALF = "x" * (RUN_STATE_BYTES // 2)


@pytest.fixture
async def url(session: AsyncSession, task: Task, task_url: str) -> str:
    run = await make_run(session, task=task, environment=Environment.CLOUD)
    return f"{task_url}/runs/{run.id}"


def answered(response: httpx.Response) -> tuple[int, Any]:
    return response.status_code, response.json()


async def test_state_is_bounded_as_it_is_merged(client: httpx.AsyncClient, url: str) -> None:
    first = await client.patch(url, json={"state": {"a": HALF}})
    assert first.status_code == 200
    assert answered(await client.patch(url, json={"state": {"b": HALF}, "stage": "late"})) == (
        400,
        LARGE_STATE,
    )
    after = (await client.get(url)).json()
    assert (after["state"], after["stage"]) == (first.json()["state"], first.json()["stage"])

    swapped = await client.patch(url, json={"state": {"b": HALF}, "state_remove_keys": ["a"]})
    assert swapped.json()["state"]["b"] == HALF


async def grow(session: AsyncSession, url: str, size: int) -> None:
    """Fill a run's state as no client can any more: it was written before there was a limit."""
    large = func.jsonb_build_object("old", func.repeat("x", size))
    await session.execute(update(Run).where(Run.id == UUID(url.rpartition("/")[2])).values(state=large))


async def test_state_that_is_too_large_already_may_only_become_smaller(
    client: httpx.AsyncClient, session: AsyncSession, url: str
) -> None:
    await grow(session, url, 3 * RUN_STATE_BYTES)
    assert answered(await client.patch(url, json={"state": {"b": 1}})) == (400, LARGE_STATE)
    assert (await client.patch(url, json={"stage": "late"})).json()["stage"] == "late"
    shrunk = await client.patch(url, json={"state": {"b": 1}, "state_remove_keys": ["old"]})
    assert shrunk.json()["state"] == {"b": 1}


async def test_state_takes_all_of_the_limit(
    client: httpx.AsyncClient, session: AsyncSession, url: str
) -> None:
    await client.patch(url, json={"state": {"a": ""}})
    used = await session.scalar(select(func.octet_length(cast(Run.state, Text))))
    assert used is not None
    assert (await client.patch(url, json={"state": {"a": "x" * (RUN_STATE_BYTES - used)}})).status_code == 200
    more = {"state": {"a": "x" * (RUN_STATE_BYTES - used + 1)}}
    assert answered(await client.patch(url, json=more)) == (400, LARGE_STATE)


async def test_output_is_bounded_as_it_is_merged(client: httpx.AsyncClient, url: str) -> None:
    assert (await client.patch(url, json={"output": {"a": HALF}})).status_code == 200
    assert answered(await client.patch(url, json={"output": {"b": HALF}})) == (400, LARGE_OUTPUT)
    assert (await client.get(url)).json()["output"] == {"a": HALF}


@pytest.mark.parametrize("body", [{"output": [HALF, HALF]}, {"a": HALF, "b": HALF}])
async def test_output_that_replaces_another_is_bounded(
    client: httpx.AsyncClient, url: str, body: dict[str, Any]
) -> None:
    assert answered(await client.patch(f"{url}/set_output", json=body)) == (400, LARGE_OUTPUT)
    assert (await client.get(url)).json()["output"] is None


async def test_message_of_a_start_is_bounded_too(client: httpx.AsyncClient, url: str) -> None:
    """Its own limit is in characters, of which each can be four bytes."""
    message = {"pending_user_message": "🦉" * (RUN_STATE_BYTES // 4)}
    assert answered(await client.post(f"{url}/start", json=message)) == (400, LARGE_STATE)
    assert "pending_user_message" not in (await client.get(url)).json()["state"]


@pytest.mark.parametrize("path", ["run", "runs"])
async def test_run_is_not_created_with_more(client: httpx.AsyncClient, task_url: str, path: str) -> None:
    message = {"pending_user_message": "🦉" * (RUN_STATE_BYTES // 4)}
    assert answered(await client.post(f"{task_url}/{path}", json=message)) == (
        400,
        {"detail": LARGE_STATE["error"]},
    )


async def test_run_shows_texts_of_the_state_and_nothing_else_as_its_own(
    client: httpx.AsyncClient, url: str
) -> None:
    """Clients may write anything into the state; the fields that are read from it are text or null."""
    odd = {"runtime_adapter": ["x"], "model": 5, "reasoning_effort": {"a": 1}, "provider": True}
    run = (await client.patch(url, json={"state": odd})).json()
    assert {name: run["state"][name] for name in odd} == odd
    assert {name: run[name] for name in odd} == dict.fromkeys(odd)
