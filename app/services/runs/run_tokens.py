"""Issue and check run tokens: each gives access to one run, or to the live stream of one run (contract 6.4)."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import jwt
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.db import release
from app.db.statements import rows_of
from app.errors import NotFound, RunTokenInvalid
from app.ids import new_hex_id
from app.json_types import JsonDict
from app.models import SigningKey
from app.schemas.runs.run import ConnectionTokenOut, StreamTokenOut
from app.security.secrets import Cipher, DecryptionError
from app.services.access.authentication import find_member, find_open_sessions, find_valid_keys
from app.services.access.principal import CURRENT_PROJECT, Principal
from app.services.access.visibility import require_run

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


class RunPath(NamedTuple):
    project: int | str
    task_id: UUID
    run_id: UUID


async def issue_token(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, cipher: Cipher
) -> ConnectionTokenOut:
    """Return a signed token that gives access to one run, valid for a day."""
    return {"token": await _sign(session, caller, task_id, run_id, {"aud": AUDIENCE}, cipher)}


async def issue_stream_token(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, cipher: Cipher
) -> StreamTokenOut:
    """Return a signed token with which its holder follows one run as the caller, for a day or as long as the key."""
    session_id = None if caller.session_id is None else str(caller.session_id)
    claims = {"aud": STREAM_AUDIENCE, "key_id": str(caller.key_id), "session_id": session_id}
    token = await _sign(session, caller, task_id, run_id, claims, cipher)
    return {"token": token, "stream_base_url": None}


async def _sign(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    claims: Mapping[str, str | None],
    cipher: Cipher,
) -> str:
    await require_run(session, caller, task_id, run_id)
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


def is_token(secret: str) -> bool:
    """Return whether a bearer's credential has the form of a run token, which no API key has."""
    return secret.count(".") == _DOTS


async def authenticate_run(session: AsyncSession, token: str, path: RunPath, *, cipher: Cipher) -> RunRef:
    """Check a run token for the run in a request's path; return the run. The token's user must still see the run."""
    claims, member = await _find_holder(session, token, path, cipher, audience=AUDIENCE)
    if member is None:
        raise NotFound
    await require_run(session, member, path.task_id, path.run_id)
    return RunRef(claims["team_id"], path.task_id, path.run_id)


async def authenticate_follower(
    session: AsyncSession, token: str, path: RunPath, *, cipher: Cipher
) -> Principal:
    """Check a stream token, which ends with the key or session it was issued to; return the person that follows."""
    claims, member = await _find_holder(session, token, path, cipher, audience=STREAM_AUDIENCE)
    if member is None:
        raise RunTokenInvalid
    key_id = UUID(claims["key_id"])
    session_id = None if claims["session_id"] is None else UUID(claims["session_id"])
    if not await find_valid_keys(session, [key_id]):
        raise RunTokenInvalid
    if session_id is not None and not await find_open_sessions(session, [session_id]):
        raise RunTokenInvalid
    return replace(member, key_id=key_id, session_id=session_id)


async def _find_holder(
    session: AsyncSession, token: str, path: RunPath, cipher: Cipher, *, audience: str
) -> tuple[JsonDict, Principal | None]:
    claims = await _read_claims(session, token, cipher, audience=audience)
    project = claims["team_id"] if path.project == CURRENT_PROJECT else path.project
    of_token = (claims["team_id"], claims["task_id"], claims["run_id"])
    if of_token != (project, str(path.task_id), str(path.run_id)):
        return claims, None
    return claims, await find_member(session, claims["user_id"], claims["team_id"])


async def _read_claims(session: AsyncSession, token: str, cipher: Cipher, *, audience: str) -> JsonDict:
    try:
        key = await _read_key(session, cipher, jwt.get_unverified_header(token).get("kid"))
        if key is None:
            raise RunTokenInvalid
        claims: JsonDict = jwt.decode(
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
        # Compared here and not in SQL, since a token may have any text as its key id.
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
    # If two requests make a key, the second one waits here for the commit of the first, and then reads that key.
    await session.execute(select(SigningKey.key_id).where(own).with_for_update())
    key = await _read_key(session, cipher)
    if key is None:
        # This process cannot read the stored key, which stays: processes with other secrets sign with it.
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
