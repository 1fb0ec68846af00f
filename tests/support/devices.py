"""Devices, presence and pushes for tests, as rows."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import NotificationDecision, NotificationKind, Platform
from app.ids import new_hex_id, new_id
from app.models import Notification, Presence, PushToken, Task, User
from app.services.notifications.devices import hash_token
from app.services.notifications.presence import PRESENCE_LIFETIME
from tests.support.factories import added


def expo_token() -> str:
    """Return a push token in the form of Expo's."""
    return f"ExponentPushToken[{new_hex_id()[:22]}]"


def _device_values(user: User, now: datetime, token: str | None = None) -> dict[str, Any]:
    token = token or expo_token()
    return {
        "id": new_id(),
        "user_id": user.id,
        "token": token,
        "token_hash": hash_token(token),
        "platform": Platform.IOS,
        "created_at": now,
        "last_seen_at": now,
    }


async def make_device(session: AsyncSession, *, user: User, **overrides: Any) -> PushToken:
    values = _device_values(user, utcnow(), overrides.pop("token", None))
    return await added(session, PushToken(**(values | overrides)))


async def make_presence(
    session: AsyncSession, *, task: Task, device: PushToken, age: timedelta = timedelta(0)
) -> Presence:
    """Make the presence row of a device that reported `age` ago that it shows the task."""
    row = Presence(
        task_id=task.id,
        push_token_id=device.id,
        project_id=task.project_id,
        user_id=device.user_id,
        expires_at=utcnow() - age + PRESENCE_LIFETIME,
    )
    return await added(session, row)


def push_values(task: Task, device: PushToken, now: datetime) -> dict[str, Any]:
    """Return the columns of a push notification that is due."""
    return {
        "id": new_id(),
        "task_id": task.id,
        "user_id": device.user_id,
        "kind": NotificationKind.COMPLETED,
        "body": f'"{task.title}" finished',
        "device_id": device.id,
        "platform": device.platform,
        "decision": NotificationDecision.PENDING,
        "created_at": now,
        "due_at": now,
        "attempts": 0,
    }


async def make_pending(
    session: AsyncSession, *, task: Task, device: PushToken, **overrides: Any
) -> Notification:
    """Make a push notification that is due, to one device."""
    return await added(session, Notification(**(push_values(task, device, utcnow()) | overrides)))


async def make_many_pending(session: AsyncSession, *, task: Task, user: User, count: int) -> None:
    """Make `count` pushes that are due, each to its own device; that may be more than a user can register."""
    now = task.created_at
    devices = [_device_values(user, now) for _ in range(count)]
    rows = [push_values(task, PushToken(**device), now) for device in devices]
    await session.execute(insert(PushToken), devices)
    await session.execute(insert(Notification), rows)


async def notifications_of(sessions: SessionFactory, task: Task) -> list[Notification]:
    """Return the notices of a task, oldest first; reminders and retractions are in their histories."""
    async with unit_of_work(sessions) as session:
        rows = await session.scalars(
            select(Notification)
            .where(Notification.task_id == task.id, Notification.replaces.is_(None))
            .order_by(Notification.created_at, Notification.id)
        )
        return list(rows)
