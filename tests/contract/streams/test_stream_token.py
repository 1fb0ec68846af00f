"""Tokens to follow one run (contract 6.4)."""

from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.ids import new_id
from app.models import ApiKey, Membership, Run, Task, User
from tests.support.assertions import assert_not_found
from tests.support.callers import bearer
from tests.support.factories import make_user
from tests.support.web.streams import following

JSON = dict[str, Any]
DAY = 24 * 60 * 60


@pytest.fixture
async def token(
    api: httpx.AsyncClient,
    url: str,
    signing_key: None,  # noqa: ARG001 - made once, instead of by the first request for a token
) -> str:
    answer = (await api.get(f"{url}/stream_token")).json()
    assert answer == {"token": answer["token"], "stream_base_url": None}
    return str(answer["token"])


async def test_token_follows_its_run_and_nothing_else(
    api: httpx.AsyncClient, task_url: str, url: str, agent: Any, token: str
) -> None:
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["aud"], claims["exp"] - claims["iat"]) == ("taskbeacon:run_stream", DAY)
    holder = bearer(token)
    other = (await api.post(f"{task_url}/runs")).json()["id"]
    connection = bearer(agent.token)
    await api.patch(url, json={"status": "completed"})
    for address in (url, url.replace(f"projects/{claims['team_id']}", "projects/@current")):
        async with following(api, address, headers=holder) as stream:
            assert (await stream.rest())[-1].data["status"] == "completed"
            assert stream.is_complete

    del api.headers["Authorization"]
    refused = [
        await api.get(url, headers=holder),
        await api.get(f"{url}/stream_token", headers=holder),
        await api.get(f"{url}/connection_token", headers=holder),
        await api.get(f"{url}/session_logs", headers=holder),
        await api.get(f"{task_url}/runs", headers=holder),
        await api.post(f"{url}/cancel", headers=holder),
        await api.post(f"{url}/event_stream", headers=holder),
        await api.get(f"{task_url}/runs/{other}/stream", headers=holder),
        await api.get(f"/api/projects/{claims['team_id']}/events/stream", headers=holder),
        await api.get(f"{url}/stream", headers=connection),
        await api.get(f"{url}/stream", headers=bearer(f"{token[:-8]}AAAAAAAA")),
        await api.get(f"{url}/stream", headers=bearer("a.b.c")),
        await api.get(f"{url}/stream", params={"personal_api_key": token}),
    ]
    assert {(each.status_code, each.json()["code"]) for each in refused} == {(403, "authentication_failed")}


@pytest.mark.parametrize("what", ["revoked", "inactive", "membership", "private"])
async def test_stream_ends_with_the_access_of_the_person(
    api: httpx.AsyncClient, url: str, run: JSON, token: str, session: AsyncSession, owner: User, what: str
) -> None:
    del api.headers["Authorization"]
    async with following(api, url, headers=bearer(token)) as stream:
        await stream.take(1)
        match what:
            case "revoked":
                await session.execute(update(ApiKey).values(revoked_at=utcnow()))
            case "inactive":
                await session.execute(update(User).where(User.id == owner.id).values(is_active=False))
            case "membership":
                await session.execute(delete(Membership).where(Membership.user_id == owner.id))
            case _:
                other = await make_user(session)
                await session.execute(update(Task).values(created_by_id=other.id))
        assert await stream.rest() == []
        assert not stream.is_complete
    refused = await api.get(f"{url}/stream", headers=bearer(token))
    if what == "private":
        assert_not_found(refused)
    else:
        assert (refused.status_code, refused.json()["code"]) == (403, "authentication_failed")
    assert (await session.get_one(Run, UUID(run["id"]))).status == "queued"


async def test_run_must_be_visible(api: httpx.AsyncClient, task_url: str) -> None:
    assert_not_found(await api.get(f"{task_url}/runs/{new_id()}/stream_token"))
