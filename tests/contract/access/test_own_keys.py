"""Keys of one's own (contract 19.7)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import Scope
from app.ids import new_id
from app.models import ApiKey, Project, User
from app.runtime import ProcessContext
from app.security.secrets import hash_api_key
from app.services.access.caller_cache import CallerCache
from tests.support.assertions import assert_invalid, assert_not_found, assert_permission_denied, concerning
from tests.support.callers import bearer
from tests.support.factories import make_key, make_user
from tests.support.web.clients import in_process_client

JSON = dict[str, Any]
URL = "/api/users/@me/api_keys"


async def test_key_is_made_listed_used_and_revoked(client: httpx.AsyncClient, application: FastAPI) -> None:
    made = await client.post(
        f"{URL}/", json={"label": " Reader ", "scopes": ["user:read"], "expires_in_days": 90}
    )
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    key: JSON = made.json()
    value = key.pop("value")
    assert (key["label"], key["scopes"], key["current"]) == ("Reader", ["user:read"], False)
    listed = (await client.get(URL)).json()["results"]
    assert listed[0] == key
    assert value not in (await client.get(URL)).text
    assert [each["current"] for each in listed].count(True) == 1
    async with in_process_client(application, headers=bearer(value)) as other:
        assert (await other.get(URL)).json()["results"][0]["current"]
        assert_permission_denied(
            await other.post(URL, json={"label": "a", "scopes": ["user:read"]}),
            "API key missing required scope 'user:write'",
        )

    assert (await client.delete(f"{URL}/{key['id']}/")).status_code == 204

    assert_not_found(await client.delete(f"{URL}/{key['id']}"))
    assert key["id"] not in [each["id"] for each in (await client.get(URL)).json()["results"]]


async def test_new_key_can_do_no_more_than_the_one_that_makes_it(
    application: FastAPI, session: AsyncSession, project: Project, owner: User
) -> None:
    ends = utcnow() + timedelta(days=10)
    little = await make_key(
        session,
        user=owner,
        scopes=[Scope.USER_WRITE, Scope.TASK_READ],
        projects=[project.id],
        expires_at=ends,
    )
    await session.commit()
    async with in_process_client(application, headers=bearer(little)) as client:
        for scope in ("task:write", "*"):
            with concerning(scope):
                assert_permission_denied(
                    await client.post(URL, json={"label": "a", "scopes": [scope]}),
                    f"API key missing required scope '{scope}'",
                )
        for lives in (None, 3650):
            body = {"label": "a", "scopes": ["task:read", "user:read"], "expires_in_days": lives}
            key = (await client.post(URL, json=body)).json()
            with concerning(lives):
                assert key["scoped_teams"] == [project.id]
                assert key["expires_at"] == ends.isoformat().replace("+00:00", "Z")


async def test_keys_of_others_are_not_found(
    client: httpx.AsyncClient, session: AsyncSession, project: Project
) -> None:
    other = await make_user(session, projects=[project])
    key = await make_key(session, user=other)
    await session.commit()
    theirs = await session.scalar(select(ApiKey.id).where(ApiKey.secret_hash == hash_api_key(key)))

    assert str(theirs) not in [each["id"] for each in (await client.get(URL)).json()["results"]]
    assert_not_found(await client.delete(f"{URL}/{theirs}"))


async def test_person_has_a_bounded_number_of_keys(
    client: httpx.AsyncClient, session: AsyncSession, owner: User
) -> None:
    made = {"user_id": owner.id, "scopes": ["task:read"], "label": "a", "mask": "a", "created_at": utcnow()}
    there = len((await client.get(URL)).json()["results"])
    keys = [made | {"id": new_id(), "secret_hash": f"hash {n}"} for n in range(500 - there)]
    await session.execute(insert(ApiKey), keys)
    await session.commit()
    body = {"label": "One too many", "scopes": ["task:read"]}

    assert_invalid(await client.post(URL, json=body), None, "max_length")

    assert (await client.delete(f"{URL}/{keys[0]['id']}")).status_code == 204
    assert (await client.post(URL, json=body)).status_code == 201
    assert len((await client.get(URL)).json()["results"]) == 500


async def test_bad_keys_are_refused(client: httpx.AsyncClient) -> None:
    cases: list[tuple[JSON, str, str]] = [
        ({"scopes": ["task:read"]}, "label", "required"),
        ({"label": "", "scopes": ["task:read"]}, "label", "blank"),
        ({"label": "a" * 41, "scopes": ["task:read"]}, "label", "max_length"),
        ({"label": "a", "scopes": []}, "scopes", "empty"),
        ({"label": "a", "scopes": ["all"]}, "scopes__0", "invalid_choice"),
        ({"label": "a", "scopes": ["task:read"], "expires_in_days": 0}, "expires_in_days", "min_value"),
    ]
    for body, attr, code in cases:
        with concerning(body):
            assert_invalid(await client.post(URL, json=body), attr, code)


async def test_key_that_was_revoked_makes_none(
    client: httpx.AsyncClient, application: FastAPI, session: AsyncSession, owner: User
) -> None:
    """Though this process still knows it from a request before."""
    process: ProcessContext = application.state.process
    application.state.process = replace(process, callers=CallerCache(lifetime=3600))
    assert (await client.get(URL)).status_code == 200
    await session.execute(update(ApiKey).where(ApiKey.user_id == owner.id).values(revoked_at=utcnow()))
    await session.commit()

    refused = await client.post(URL, json={"label": "a", "scopes": ["task:read"]})

    assert_permission_denied(refused, "The key of this request is revoked.")
    living = select(func.count()).where(ApiKey.user_id == owner.id, ApiKey.revoked_at.is_(None))
    assert await session.scalar(living) == 0
