"""Tokens of runs for agents outside the workers, and the keys that sign them (contract 6.4)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.config import Settings
from app.models import Run, SigningKey, Task
from app.runtime import ProcessContext
from app.security.secrets import Cipher
from app.services.runs.run_tokens import AUDIENCE
from tests.support.assertions import concerning
from tests.support.callers import Caller
from tests.support.factories import added
from tests.support.stand_ins.outside_agents import Agent


async def test_token_names_the_run_and_lives_for_a_day(
    client: httpx.AsyncClient,
    run: Run,
    task_url: str,
    session: AsyncSession,
    settings: Settings,
    task: Task,
    caller: Caller,
) -> None:
    url = f"{task_url}/runs/{run.id}"
    answers = [await client.get(f"{url}/connection_token") for _ in range(2)]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    tokens = [answer.json() for answer in answers]
    assert [list(token) for token in tokens] == [["token"], ["token"]]
    [kept] = await session.scalars(select(SigningKey))
    assert "PRIVATE" not in kept.private_key
    pem = Cipher(settings.secret_keys).decrypt(kept.private_key).encode()
    public = serialization.load_pem_private_key(pem, None).public_key()
    for token in tokens:
        header = jwt.get_unverified_header(token["token"])
        assert (header["alg"], header["kid"]) == ("RS256", kept.key_id)
        claims = jwt.decode(token["token"], public, algorithms=["RS256"], audience=AUDIENCE)  # type: ignore[arg-type] # typed for every kind of key there is
        assert claims["exp"] - claims["iat"] == timedelta(hours=24).total_seconds()
        assert claims | {"iat": 0, "exp": 0} == {
            "aud": "taskbeacon:run_connection",
            "iat": 0,
            "exp": 0,
            "run_id": str(run.id),
            "task_id": str(task.id),
            "team_id": task.project_id,
            "user_id": caller.user_id,
        }


async def test_processes_with_other_secrets_leave_each_other_s_tokens_valid(
    client: httpx.AsyncClient, application: FastAPI, process: ProcessContext, run: Run, task_url: str
) -> None:
    """Each replaced the key of the other, and ended all tokens with it."""
    url = f"{task_url}/runs/{run.id}"

    def serve_with(*secrets: str) -> None:
        keys = tuple(SecretStr(secret * 32) for secret in secrets)
        application.state.process = replace(process, cipher=Cipher(keys))

    tokens = []
    for secret in "abab":
        serve_with(secret)
        tokens.append((await client.get(f"{url}/connection_token")).json()["token"])
        assert (await Agent(client, url, tokens[-1]).post()).status_code == 200
    assert len({jwt.get_unverified_header(token)["kid"] for token in tokens}) == 2
    for secrets, accepted in (("a", (200, 403)), ("b", (403, 200)), ("ba", (200, 200))):
        serve_with(*secrets)
        answers = [await Agent(client, url, token).post() for token in tokens[:2]]
        with concerning(secrets):
            assert tuple(answer.status_code for answer in answers) == accepted


async def test_key_that_cannot_be_decrypted_any_more_is_replaced(
    client: httpx.AsyncClient, run: Run, task_url: str, session: AsyncSession
) -> None:
    """Regression: both requests answered 500 from then on."""
    url = f"{task_url}/runs/{run.id}"
    lost = SigningKey(
        purpose="run_connection", key_id="lost", private_key="by a lost key", created_at=utcnow()
    )
    await added(session, lost)
    assert (await Agent(client, url, "signed by the lost key").post()).status_code == 403

    answers = await asyncio.gather(*(client.get(f"{url}/connection_token") for _ in range(3)))

    tokens = [answer.json()["token"] for answer in answers]
    # One key for all of them.
    assert len({jwt.get_unverified_header(token)["kid"] for token in tokens} - {"lost"}) == 1
    assert (await Agent(client, url, tokens[0]).post()).status_code == 200
