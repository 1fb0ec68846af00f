"""Tokens by which somebody who has no key may reach one run (contract 6.4): signed, and valid for a day.

The key pair is made when it is first needed and kept encrypted in the database, so that all processes sign and check
with the same one and nobody has to configure it.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import release
from app.ids import new_hex_id
from app.models import SigningKey
from app.schemas.runs import ConnectionTokenOut
from app.security import Cipher
from app.services.access import Principal, require_run

__all__ = ["ALGORITHM", "AUDIENCE", "issue_token"]

ALGORITHM = "RS256"
AUDIENCE = "taskbeacon:run_connection"
_LIFETIME = timedelta(hours=24)
_PURPOSE = "run_connection"
_KEY_BITS = 2048
_PUBLIC_EXPONENT = 65537


async def issue_token(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, secrets: Sequence[SecretStr]
) -> ConnectionTokenOut:
    """Return a token for a run that the caller sees; `secrets` encrypt the key it is signed with.

    Raises:
        NotFound: there is no such run for this caller.

    """
    await require_run(session, caller, task_id, run_id)
    cipher = Cipher(secrets)
    kept = await _kept_key(session) or await _make_key(session, cipher)
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


async def _kept_key(session: AsyncSession) -> Row[str, str] | None:
    statement = select(SigningKey.key_id, SigningKey.private_key).where(SigningKey.purpose == _PURPOSE)
    return (await session.execute(statement)).one_or_none()


async def _make_key(session: AsyncSession, cipher: Cipher) -> Row[str, str]:
    """Make the key, unless another process did so meanwhile, and return the one that is kept."""
    await release(session)
    pem = await asyncio.to_thread(_new_private_key)
    await session.execute(
        upsert(SigningKey)
        .values(purpose=_PURPOSE, key_id=new_hex_id(), private_key=cipher.encrypt(pem), created_at=utcnow())
        .on_conflict_do_nothing()
    )
    kept = await _kept_key(session)
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
