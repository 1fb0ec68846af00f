"""Send a test push: a user sends it to one of their own devices to see whether pushes arrive there."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.push import Accepted, Deadline, PushSender
from app.clock import utcnow
from app.db import release
from app.enums import NotificationDecision, NotificationKind, Platform
from app.errors import NotFound
from app.ids import new_id
from app.models import Notification, PushToken, Task
from app.models.push_tokens import HAS_ADDRESS
from app.schemas.notifications import PushTestIn, PushTestOut
from app.services.access.principal import Principal
from app.services.access.visibility import visible_task
from app.services.notifications.delivery import SEND_WITHIN, end_of, send, settle
from app.services.notifications.messages import Composer, Delivery, Stored, Subject
from app.services.notifications.rules.deciding import PUSH_LEASE
from app.services.notifications.texts import message_body


async def send_trial(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    body: PushTestIn,
    *,
    senders: Mapping[Platform, PushSender],
    composer: Composer,
) -> PushTestOut:
    """Send a test push to the given device of the caller, or to the one seen last.

    Presence, cooldown and preferences do not apply. What the service cannot take now is tried again later.
    """
    delivery = await _open_trial(session, caller, task_id, body.device_id)
    await release(session)
    deadline = Deadline(SEND_WITHIN.total_seconds())
    outcomes = await send(senders, [delivery], composer=composer, deadline=deadline)
    await settle(session, [delivery], outcomes)
    outcome = outcomes[delivery.id]
    end = end_of(delivery, outcome, utcnow())
    return {
        "id": delivery.id,
        "device": delivery.device_id,
        "platform": delivery.platform,
        "decision": end.decision,
        "reason": end.reason,
        "ticket": outcome.ticket if isinstance(outcome, Accepted) else None,
    }


async def _open_trial(
    session: AsyncSession, caller: Principal, task_id: UUID, device_id: UUID | None
) -> Delivery:
    title = await session.scalar(select(Task.title).where(Task.id == task_id, visible_task(caller)))
    if title is None:
        raise NotFound
    devices = select(PushToken.id, PushToken.platform, PushToken.token).where(
        PushToken.user_id == caller.user_id, HAS_ADDRESS
    )
    if device_id is not None:
        devices = devices.where(PushToken.id == device_id)
    newest = devices.order_by(PushToken.last_seen_at.desc(), PushToken.id.desc()).limit(1)
    device = (await session.execute(newest)).one_or_none()
    if device is None:
        raise NotFound("The caller has no such device.")
    now = utcnow()
    delivery = Delivery(
        id=new_id(),
        attempts=1,
        user_id=caller.user_id,
        device_id=device.id,
        platform=Platform(device.platform),
        body=message_body(NotificationKind.TEST, title),
        token=device.token,
        subject=Subject(NotificationKind.TEST, task_id=task_id),
        stored=Stored(now),
    )
    await session.execute(
        insert(Notification).values(
            id=delivery.id,
            task_id=task_id,
            user_id=caller.user_id,
            kind=NotificationKind.TEST,
            body=delivery.body,
            device_id=delivery.device_id,
            platform=delivery.platform,
            decision=NotificationDecision.PENDING,
            created_at=now,
            # Claimed from the start: a worker sends it only if this process dies first.
            due_at=now + PUSH_LEASE,
            attempts=delivery.attempts,
        )
    )
    return delivery
