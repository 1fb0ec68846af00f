"""Register and list the devices of users by their push tokens (contract 6.5).

The value of a push token is read only to send a push.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, NoReturn
from uuid import UUID

import structlog
from sqlalchemy import Delete, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.config import Settings
from app.db import after_commit
from app.db.statements import Prepared, rows_of
from app.enums import Platform
from app.errors import NotFound, PermissionDenied, too_long
from app.ids import new_id
from app.models import Presence, PushToken
from app.models.base import given_rows
from app.models.devices.push_tokens import HAS_ADDRESS
from app.schemas.devices.push_tokens import DeviceOut, PushTokenIn
from app.services.access.principal import Principal
from app.services.access.user_lock import lock_user

MAX_DEVICES = 20

_MAX_TOKEN_LENGTH = 512

log = structlog.get_logger(__name__)


class DeadDevice(NamedTuple):
    """A user's device with a push token that the push service reported as no longer valid after a push at `sent_at`."""

    id: UUID
    user_id: int
    sent_at: datetime


async def register(session: AsyncSession, caller: Principal, body: PushTokenIn) -> DeviceOut:
    """Register a device of the caller, also one that was another user's; only the 20 seen last are kept."""
    if body.platform is not Platform.WEB and len(body.token) > _MAX_TOKEN_LENGTH:
        raise too_long(_MAX_TOKEN_LENGTH, attr="token")
    await lock_user(session, caller.user_id)
    now = utcnow()
    seen = {
        "user_id": caller.user_id,
        "platform": body.platform,
        "last_seen_at": now,
        "channels": body.channels or None,
    }
    statement = (
        insert(PushToken)
        .values(id=new_id(), token=body.token, token_hash=hash_token(body.token), created_at=now, **seen)
        .on_conflict_do_update(index_elements=[PushToken.token_hash], set_=seen)
        .returning(PushToken.id, PushToken.created_at)
    )
    ((device_id, created_at),) = await rows_of(session, statement)
    of_former_owner = (Presence.push_token_id == device_id, Presence.user_id != caller.user_id)
    await session.execute(delete(Presence).where(*of_former_owner))
    await _evict(session, caller, keep=device_id)
    return {"id": device_id, "platform": body.platform, "created_at": created_at, "last_seen_at": now}


async def _evict(session: AsyncSession, caller: Principal, *, keep: UUID) -> None:
    surplus = (
        select(PushToken.id)
        .where(PushToken.user_id == caller.user_id, PushToken.id != keep, HAS_ADDRESS)
        .order_by(PushToken.last_seen_at.desc(), PushToken.id.desc())
        .offset(MAX_DEVICES - 1)
    )
    await session.execute(delete(PushToken).where(PushToken.id.in_(surplus)))


async def unregister(session: AsyncSession, caller: Principal, device: UUID | str) -> None:
    """Delete a device of the caller by its id or its token."""
    named = PushToken.id == device if isinstance(device, UUID) else PushToken.token_hash == hash_token(device)
    await session.execute(delete(PushToken).where(named, PushToken.user_id == caller.user_id, HAS_ADDRESS))


def refuse_other_users() -> NoReturn:
    raise PermissionDenied("Push tokens can only be managed via the `@me` path.")


async def forget_dead(session: AsyncSession, dead: Sequence[DeadDevice]) -> None:
    """Delete devices that are gone, unless they have another user or were registered again since the push."""
    if not dead:
        return
    for device in dead:
        after_commit(session, partial(log.info, "push.token_dead", device_id=str(device.id)))
    ids, user_ids, times = zip(*dead, strict=True)
    values = {"given_id": ids, "given_user_id": user_ids, "given_sent_at": times}
    await _FORGET.perform(session, {name: list(items) for name, items in values.items()})


def _forget_statement() -> Delete:
    given = given_rows(
        {"id": PushToken.id.type, "user_id": PushToken.user_id.type, "sent_at": PushToken.last_seen_at.type}
    )
    return delete(PushToken).where(
        PushToken.id == given.c.id,
        PushToken.user_id == given.c.user_id,
        PushToken.last_seen_at <= given.c.sent_at,
    )


_FORGET = Prepared(_forget_statement())


async def list_devices(session: AsyncSession, caller: Principal) -> list[DeviceOut]:
    """Return the caller's devices that have a push token, the most recently seen first."""
    rows = await rows_of(
        session,
        select(PushToken.id, PushToken.platform, PushToken.created_at, PushToken.last_seen_at)
        .where(PushToken.user_id == caller.user_id, HAS_ADDRESS)
        .order_by(PushToken.last_seen_at.desc(), PushToken.id.desc()),
    )
    return [
        {
            "id": id_,
            "platform": Platform(platform),
            "created_at": created_at,
            "last_seen_at": last_seen_at,
        }
        for id_, platform, created_at, last_seen_at in rows
    ]


def session_device(session_id: UUID, user_id: int) -> PushToken:
    """Return a new row for the device of a console session or terminal: it shows tasks, and gets no pushes."""
    now = utcnow()
    return PushToken(
        id=session_id,
        user_id=user_id,
        token="",
        # Unique, and the hash of no token, as no token contains this character.
        token_hash=hash_token(f"\0{session_id}"),
        platform=Platform.WEB,
        created_at=now,
        last_seen_at=now,
    )


def vapid_public_key(settings: Settings) -> str:
    if settings.vapid_private_key is None:
        raise NotFound("Web push is not configured.")
    from app.clients.web_push.vapid import VapidKey  # noqa: PLC0415 - slow to import

    return VapidKey(settings.vapid_private_key).public_key


def hash_token(token: str) -> bytes:
    """Return the hash of a push token, for its index: the token itself may be too long for one."""
    return hashlib.sha256(token.encode()).digest()
