"""Send a test push to a device of the caller now, whatever their preferences, and say what its push service answers."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.pushes.push import Accepted, Deadline, PushSender
from app.clock import utcnow
from app.config import Settings
from app.db import release
from app.db.statements import row_of
from app.enums import NotificationKind, Platform
from app.errors import NotFound
from app.ids import new_id
from app.json_types import JsonDict
from app.models import Notification, PushToken, Task
from app.models.devices.push_tokens import HAS_ADDRESS
from app.schemas.notifications import PushTestIn, PushTestOut
from app.services.access.principal import Principal
from app.services.access.visibility import visible_task
from app.services.notifications import push_delivery
from app.services.notifications.push_messages import ClaimedPush, Composer, Delivery
from app.services.notifications.push_sentences import message_body
from app.services.retrying.policies import PUSH_LEASE


async def send_test_push(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    body: PushTestIn,
    *,
    senders: Mapping[Platform, PushSender],
    settings: Settings,
) -> PushTestOut:
    """Send a test push to the given device of the caller, or to the one seen last, whatever their preferences."""
    delivery = await _open(session, caller, task_id, body.device_id)
    await release(session)
    deadline = Deadline(push_delivery.SEND_WITHIN.total_seconds())
    outcomes = await push_delivery.send(senders, [delivery], composer=Composer(settings), deadline=deadline)
    await push_delivery.settle(session, [delivery], outcomes)
    push, outcome = delivery.push, outcomes[delivery.push.id]
    end = push_delivery.end_of(delivery, outcome, utcnow())
    return {
        "id": push.id,
        "device": push.device_id,
        "platform": push.platform,
        "decision": end.decision,
        "reason": end.reason,
        "ticket": outcome.ticket if isinstance(outcome, Accepted) else None,
    }


async def _open(session: AsyncSession, caller: Principal, task_id: UUID, device_id: UUID | None) -> Delivery:
    title = await session.scalar(select(Task.title).where(Task.id == task_id, visible_task(caller)))
    if title is None:
        raise NotFound
    own = select(PushToken.id, PushToken.platform, PushToken.token).where(
        PushToken.user_id == caller.user_id, HAS_ADDRESS
    )
    if device_id is not None:
        own = own.where(PushToken.id == device_id)
    newest = own.order_by(PushToken.last_seen_at.desc(), PushToken.id.desc()).limit(1)
    device = await row_of(session, newest)
    if device is None:
        raise NotFound("The caller has no such device.")
    id_, platform, token = device
    values: JsonDict = {
        "id": new_id(),
        "attempts": 1,
        "user_id": caller.user_id,
        "device_id": id_,
        "platform": Platform(platform),
        "body": message_body(NotificationKind.TEST, title),
        "kind": NotificationKind.TEST,
        "created_at": utcnow(),
        "task_id": task_id,
    }
    push = ClaimedPush(**values, token=token)
    # Claimed from the start: a worker sends it only if this process dies first.
    until = push.created_at + PUSH_LEASE
    await session.execute(insert(Notification).values(**values, decision=push.decision, due_at=until))
    return Delivery(push, until)
