"""A project's budget of requests per minute and hour (contract 2.7).

While Redis is away requests pass: a budget is not worth an outage.
"""

from functools import cache

import structlog
from fastapi import Request
from redis.exceptions import RedisError

from app.clock import utcnow
from app.errors import Throttled
from app.runtime import ProcessContext
from app.services.access.visibility import Principal
from app.services.rate_limits import Budget

__all__ = ["throttle"]

_MINUTE = 60
_HOUR = 3600

log = structlog.get_logger(__name__)


@cache
def _budgets(per_minute: int, per_hour: int) -> list[Budget]:
    return [Budget(window, limit) for window, limit in ((_MINUTE, per_minute), (_HOUR, per_hour)) if limit]


async def throttle(
    request: Request, process: ProcessContext, principal: Principal, *, in_project: bool
) -> None:
    """Count one request, and have its answer say what is left of the budget.

    Raises:
        Throttled: the budget of this window is used up.

    """
    budgets = _budgets(process.settings.throttle_per_minute, process.settings.throttle_per_hour)
    if not budgets:
        return
    bucket = f"project:{principal.project.id}" if in_project else f"user:{principal.user_id}"
    try:
        now = utcnow().timestamp()
        retry_after = await process.budgets.count(process.redis, bucket, budgets, now=now)
    except (RedisError, OSError) as error:
        log.warning("throttle.unavailable", error=repr(error))
        return
    left = process.budgets.left(bucket, budgets, now=now)
    request.state.rate_limit = [
        (b"ratelimit-limit", b"%d" % left.limit),
        (b"ratelimit-remaining", b"%d" % left.remaining),
        (b"ratelimit-reset", b"%d" % left.reset),
    ]
    if retry_after is not None:
        raise Throttled(retry_after=retry_after)
