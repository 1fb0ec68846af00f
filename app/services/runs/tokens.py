"""Issue and check run tokens: each gives a program without an API key access to one run (contract 6.4)."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from sqlalchemy import Row, bindparam, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import release
from app.errors import NotFound, RunTokenInvalid
from app.ids import new_hex_id
from app.models import Run, SigningKey, Task
from app.schemas.runs.runs import ConnectionTokenOut
from app.security import Cipher
from app.services.access.principal import CURRENT_PROJECT, Principal
from app.services.access.visibility import VISIBLE_RUN, active_member, require_run
from app.services.storage_keys import RunRef
from app.statements import Prepared

ALGORITHM = "RS256"
AUDIENCE = "taskbeacon:run_connection"
_LIFETIME = timedelta(hours=24)
_PURPOSE = "run_connection"
_KEY_BITS = 2048
_PUBLIC_EXPONENT = 65537
_CLAIMS = ["aud", "exp", "run_id", "task_id", "team_id", "user_id"]


async def issue_token(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, secrets: Sequence[SecretStr]
) -> ConnectionTokenOut:
    """Return a signed token that gives access to one run, valid for a day."""
    await require_run(session, caller, task_id, run_id)
    cipher = Cipher(secrets)
    kept = await _read_key(session) or await _make_key(session, cipher)
    now = utcnow()
    claims = {
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + _LIFETIME,
        "run_id": str(run_id),
        "task_id": str(task_id),
        "team_id": caller.project.id,
        "user_id": caller.user_id,
    }
    key = _load(cipher.decrypt(kept.private_key))
    return {"token": jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": kept.key_id})}


async def authenticate_run(
    session: AsyncSession,
    token: str,
    *,
    project: int | str,
    task_id: UUID,
    run_id: UUID,
    secrets: Sequence[SecretStr],
) -> RunRef:
    """Check a run token for the run in a request's path; return the run. The token's user must still see the run."""
    claims = await _read_claims(session, token, secrets)
    named = claims["team_id"] if project == CURRENT_PROJECT else project
    if (claims["run_id"], claims["task_id"], claims["team_id"]) != (str(run_id), str(task_id), named):
        raise NotFound
    seen = {"visible_project_id": named, "visible_user_id": claims["user_id"]}
    if await _VISIBLE_TO_MEMBER.first(session, {"run_id": run_id, "task_id": task_id, **seen}) is None:
        raise NotFound
    return RunRef(claims["team_id"], task_id, run_id)


_VISIBLE_TO_MEMBER = Prepared(
    select(Run.id)
    .join(Task, Task.id == Run.task_id)
    .where(VISIBLE_RUN, active_member(bindparam("visible_user_id"), bindparam("visible_project_id")))
)


async def _read_claims(session: AsyncSession, token: str, secrets: Sequence[SecretStr]) -> dict[str, Any]:
    kept = await _read_key(session)
    if kept is None:
        raise RunTokenInvalid
    key = _load(Cipher(secrets).decrypt(kept.private_key)).public_key()
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            # Checked below, by the service's own clock.
            options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as error:
        raise RunTokenInvalid from error
    if claims["exp"] <= utcnow().timestamp():
        raise RunTokenInvalid
    return claims


async def _read_key(session: AsyncSession) -> Row[str, str] | None:
    statement = select(SigningKey.key_id, SigningKey.private_key).where(SigningKey.purpose == _PURPOSE)
    return (await session.execute(statement)).one_or_none()


async def _make_key(session: AsyncSession, cipher: Cipher) -> Row[str, str]:
    await release(session)
    pem = await asyncio.to_thread(_new_private_key)
    await session.execute(
        upsert(SigningKey)
        .values(purpose=_PURPOSE, key_id=new_hex_id(), private_key=cipher.encrypt(pem), created_at=utcnow())
        .on_conflict_do_nothing()
    )
    kept = await _read_key(session)
    assert kept is not None
    return kept


def _new_private_key() -> str:
    key = rsa.generate_private_key(_PUBLIC_EXPONENT, _KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@lru_cache(maxsize=2)
def _load(pem: str) -> rsa.RSAPrivateKey:
    # Reading a key checks its primes, which takes longer than signing with it.
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
