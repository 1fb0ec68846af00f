"""How often a run may notify people: one push of a kind per cooldown, and five messages of its agent in all."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from app.clock import utcnow
from app.db.statements import Prepared
from app.db.sweeping import delete_batch
from app.enums import NotificationKind
from app.models import Notification, PushCooldown
from app.models.base import given_rows

COOLDOWNS = {
    NotificationKind.COMPLETED: timedelta(seconds=600),
    NotificationKind.FAILED: timedelta(seconds=600),
    NotificationKind.CANCELLED: timedelta(seconds=600),
    NotificationKind.AWAITING: timedelta(seconds=30),
    NotificationKind.NOTIFY_USER: timedelta(seconds=60),
}
_MESSAGES_OF_A_RUN = 5
# The reasons of messages that are over a limit.
ONE_A_MINUTE, FIVE_A_RUN = "one_a_minute", "five_a_run"


async def reached_limit(session: AsyncSession, run_id: UUID, *, is_free: bool) -> str | None:
    """Return the limit that a message of a run's agent exceeds; `is_free`: the transaction took its cooldown."""
    # The cooldown is locked, taken or not: concurrent messages of the run wait.
    decided = select(func.count(Notification.created_at.distinct())).where(
        Notification.run_id == run_id,
        Notification.kind == NotificationKind.NOTIFY_USER,
        # A message that goes to no device does not count.
        Notification.device_id.is_not(None),
    )
    if (await session.scalar(decided) or 0) >= _MESSAGES_OF_A_RUN:
        return FIVE_A_RUN
    return None if is_free else ONE_A_MINUTE


async def take_cooldowns(
    session: AsyncSession, kind: NotificationKind, run_ids: Collection[UUID], now: datetime
) -> set[UUID]:
    """Begin the cooldown of a kind for those runs that are in none, and lock it; return them."""
    values = {"given_run_id": list(run_ids), "kind": kind, "now": now, "until": now + COOLDOWNS[kind]}
    return {run_id for (run_id,) in await _TAKE.all(session, values)}


async def end_cooldowns(session: AsyncSession, kind: NotificationKind, run_ids: Collection[UUID]) -> None:
    await session.execute(
        delete(PushCooldown).where(PushCooldown.run_id.in_(run_ids), PushCooldown.kind == kind)
    )


def _take_statement() -> ReturningInsert[UUID]:
    runs = given_rows({"run_id": PushCooldown.run_id.type})
    rows = select(
        runs.c.run_id,
        bindparam("kind", type_=PushCooldown.kind.type),
        bindparam("until", type_=PushCooldown.expires_at.type),
        # All transactions lock cooldowns in the order of their runs: no two deadlock.
    ).order_by(runs.c.run_id)
    taken = upsert(PushCooldown).from_select(["run_id", "kind", "expires_at"], rows)
    return taken.on_conflict_do_update(
        index_elements=[PushCooldown.run_id, PushCooldown.kind],
        set_={"expires_at": taken.excluded.expires_at},
        where=PushCooldown.expires_at <= bindparam("now", type_=PushCooldown.expires_at.type),
    ).returning(PushCooldown.run_id)


_TAKE = Prepared(_take_statement())


async def sweep_cooldowns(session: AsyncSession) -> int:
    """Delete a batch of cooldowns that are over; return how many. Readers ignore them anyway."""
    ended = PushCooldown.expires_at
    return await delete_batch(session, PushCooldown, ended <= utcnow(), oldest=ended)
