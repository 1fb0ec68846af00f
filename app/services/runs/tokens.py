"""Issue and check run tokens: each gives access to one run, or to the live stream of one run (contract 6.4)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import jwt
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import release
from app.errors import NotFound, RunTokenInvalid
from app.ids import new_hex_id
from app.models import Run, SigningKey, Task
from app.schemas.runs.runs import ConnectionTokenOut, StreamTokenOut
from app.security import Cipher, DecryptionError
from app.services.access.authenticate import find_member, has_valid_credential
from app.services.access.principal import CURRENT_PROJECT, Principal
from app.services.access.visibility import VISIBLE_RUN, active_member, require_run
from app.services.storage_keys import RunRef
from app.statements import Prepared, rows_of

ALGORITHM = "RS256"
AUDIENCE = "taskbeacon:run_connection"
STREAM_AUDIENCE = "taskbeacon:run_stream"
_LIFETIME = timedelta(hours=24)
_PURPOSE = "run_connection"
_DOTS = 2
_KEY_BITS = 2048
_PUBLIC_EXPONENT = 65537
_CLAIMS = ["aud", "exp", "run_id", "task_id", "team_id", "user_id"]

log = structlog.get_logger(__name__)


async def issue_token(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, secrets: Sequence[SecretStr]
) -> ConnectionTokenOut:
    """Return a signed token that gives access to one run, valid for a day."""
    return {"token": await _sign(session, caller, task_id, run_id, {"aud": AUDIENCE}, secrets)}


async def issue_stream_token(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, secrets: Sequence[SecretStr]
) -> StreamTokenOut:
    """Return a signed token that lets its holder follow one run as the caller, for a day or until the key's end."""
    session_id = None if caller.session_id is None else str(caller.session_id)
    claims = {"aud": STREAM_AUDIENCE, "key_id": str(caller.key_id), "session_id": session_id}
    token = await _sign(session, caller, task_id, run_id, claims, secrets)
    return {"token": token, "stream_base_url": None}


async def _sign(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    claims: Mapping[str, str | None],
    secrets: Sequence[SecretStr],
) -> str:
    await require_run(session, caller, task_id, run_id)
    cipher = Cipher(secrets)
    key = await _read_key(session, cipher) or await _make_key(session, cipher)
    now = utcnow()
    signed = {
        **claims,
        "iat": now,
        "exp": now + _LIFETIME,
        "run_id": str(run_id),
        "task_id": str(task_id),
        "team_id": caller.project.id,
        "user_id": caller.user_id,
    }
    return jwt.encode(signed, key.private, algorithm=ALGORITHM, headers={"kid": key.id})


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
    claims = await _read_claims(session, token, secrets, audience=AUDIENCE)
    named = claims["team_id"] if project == CURRENT_PROJECT else project
    if not _names(claims, named, task_id, run_id):
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


def is_token(secret: str) -> bool:
    """Return whether a bearer's credential has the form of a run token, which no API key has."""
    return secret.count(".") == _DOTS


async def authenticate_follower(
    session: AsyncSession,
    token: str,
    *,
    project: int | str,
    task_id: UUID,
    run_id: UUID,
    secrets: Sequence[SecretStr],
) -> Principal:
    """Check a stream token for the run in a request's path; return the person that follows it.

    The token ends with the API key and the console session that it was issued to. Whether the person still sees the run
    is checked as for every caller.
    """
    claims = await _read_claims(session, token, secrets, audience=STREAM_AUDIENCE)
    named = claims["team_id"] if project == CURRENT_PROJECT else project
    member = await find_member(session, claims["user_id"], claims["team_id"])
    if member is None or not _names(claims, named, task_id, run_id):
        raise RunTokenInvalid
    session_id = None if claims["session_id"] is None else UUID(claims["session_id"])
    caller = replace(member, key_id=UUID(claims["key_id"]), session_id=session_id)
    if not await has_valid_credential(session, caller):
        raise RunTokenInvalid
    return caller


def _names(claims: dict[str, Any], project: int | str, task_id: UUID, run_id: UUID) -> bool:
    return (claims["run_id"], claims["task_id"], claims["team_id"]) == (str(run_id), str(task_id), project)


async def _read_claims(
    session: AsyncSession, token: str, secrets: Sequence[SecretStr], *, audience: str
) -> dict[str, Any]:
    try:
        key = await _read_key(session, Cipher(secrets), jwt.get_unverified_header(token).get("kid"))
        if key is None:
            raise RunTokenInvalid
        claims: dict[str, Any] = jwt.decode(
            token,
            key.private.public_key(),
            algorithms=[ALGORITHM],
            audience=audience,
            # Checked below, by the service's own clock.
            options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as error:
        raise RunTokenInvalid from error
    if claims["exp"] <= utcnow().timestamp():
        raise RunTokenInvalid
    return claims


class _Key(NamedTuple):
    id: str
    private: rsa.RSAPrivateKey


async def _read_key(session: AsyncSession, cipher: Cipher, key_id: str | None = None) -> _Key | None:
    own = SigningKey.purpose.startswith(_PURPOSE, autoescape=True)
    statement = select(SigningKey.key_id, SigningKey.private_key).where(own)
    for own_id, encrypted in await rows_of(session, statement.order_by(SigningKey.created_at.desc())):
        # Compared here: that of a token may be any text.
        if key_id not in (None, own_id):
            continue
        try:
            return _Key(own_id, _load(cipher.decrypt(encrypted)))
        except DecryptionError:
            log.warning("signing_key.unreadable", key_id=own_id)
    return None


async def _make_key(session: AsyncSession, cipher: Cipher) -> _Key:
    await release(session)
    pem = await asyncio.to_thread(_new_private_key)
    made: dict[str, Any] = {
        "key_id": new_hex_id(),
        "private_key": cipher.encrypt(pem),
        "created_at": utcnow(),
    }
    own = SigningKey.purpose == _PURPOSE
    await session.execute(upsert(SigningKey).values(purpose=_PURPOSE, **made).on_conflict_do_nothing())
    # Of two requests at once, the second one waits here, and then reads the key of the first.
    await session.execute(select(SigningKey.key_id).where(own).with_for_update())
    key = await _read_key(session, cipher)
    if key is None:
        # The other one stays: processes with other secrets sign with it.
        purpose = f"{_PURPOSE}:{made['key_id'][:16]}"
        await session.execute(upsert(SigningKey).values(purpose=purpose, **made))
        key = _Key(made["key_id"], _load(pem))
    return key


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
