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
from app.services.access.principal import Principal
from app.services.rate_limits import RateLimit

_MINUTE = 60
_HOUR = 3600

log = structlog.get_logger(__name__)


async def throttle(
    request: Request, process: ProcessContext, principal: Principal, *, in_project: bool
) -> None:
    """Count one request, and have its answer say what is left of the budget.

    Raises:
        Throttled: the budget of this window is used up.

    """
    limits = _limits(process.settings.throttle_per_minute, process.settings.throttle_per_hour)
    if not limits:
        return
    bucket = f"project:{principal.project.id}" if in_project else f"user:{principal.user_id}"
    try:
        quota = await process.rate_limiter.hit(process.redis, bucket, limits, now=utcnow().timestamp())
    except (RedisError, OSError) as error:
        log.warning("throttle.unavailable", error=repr(error))
        return
    # As `ObservabilityMiddleware` sends them.
    request.state.rate_limit = [
        (b"ratelimit-limit", b"%d" % quota.limit),
        (b"ratelimit-remaining", b"%d" % quota.remaining),
        (b"ratelimit-reset", b"%d" % quota.reset),
    ]
    if quota.retry_after is not None:
        raise Throttled(retry_after=quota.retry_after)


@cache
def _limits(per_minute: int, per_hour: int) -> list[RateLimit]:
    return [RateLimit(window, limit) for window, limit in ((_MINUTE, per_minute), (_HOUR, per_hour)) if limit]
