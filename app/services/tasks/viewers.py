"""List the people who look at tasks now, for other members of the project (contract 17.10)."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import DateTime, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import Membership, Presence, Task, User
from app.schemas.viewers import ViewersOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASK, visibility
from app.services.views.users import CREATOR_COLUMNS, Creator, user_basic
from app.statements import Prepared

_MOST = 500


async def list_viewers(session: AsyncSession, caller: Principal) -> ViewersOut:
    """Return the people who look at tasks that the caller sees: at most 500 pairs of a task and a user.

    The pair that was reported last comes first. A person looks at a task while one of their devices shows it with
    focus. Former members are left out.
    """
    now: datetime = utcnow()
    rows = await _VIEWERS.all(session, {"now": now, **visibility(caller)})
    return {"results": [{"task": row.task_id, "user": user_basic(row.creator)} for row in rows]}


class _Viewer(NamedTuple):
    task_id: UUID
    creator: Creator


_LOOKING = (
    select(Presence.task_id, Presence.user_id, func.max(Presence.expires_at).label("until"))
    .join(Task, Task.id == Presence.task_id)
    .join(
        Membership,
        (Membership.project_id == Presence.project_id) & (Membership.user_id == Presence.user_id),
    )
    .where(
        Presence.expires_at > bindparam("now", type_=DateTime(timezone=True)), Presence.focused, VISIBLE_TASK
    )
    .group_by(Presence.task_id, Presence.user_id)
    .order_by(func.max(Presence.expires_at).desc(), Presence.task_id, Presence.user_id)
    .limit(_MOST)
    .subquery()
)
_VIEWERS = Prepared(
    select(_LOOKING.c.task_id, *CREATOR_COLUMNS)
    .join(User, User.id == _LOOKING.c.user_id)
    .order_by(_LOOKING.c.until.desc(), _LOOKING.c.task_id, _LOOKING.c.user_id),
    _Viewer,
)
