"""Apply request limits: of a project per minute and hour (contract 2.7), and of an address without a key."""

from collections.abc import Awaitable, Sequence
from functools import cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TypeVar

import structlog
from fastapi import Request

from app import api_limits
from app.clients.request_counter import Quota, RateLimit
from app.clock import utcnow
from app.errors import AppError, Throttled, WrongSignature
from app.outages import REDIS_ERRORS
from app.services.access.principal import Principal
from app.web.asgi_keys import RATE_LIMIT
from app.web.dependencies import process_of

Result = TypeVar("Result")

_MINUTE = 60
_HOUR = 3600
_OF_ADDRESS = [RateLimit(_MINUTE, api_limits.ADDRESS_REQUESTS_PER_MINUTE)]
CODES = [RateLimit(_MINUTE, api_limits.CODES_PER_MINUTE)]
POLLS = [RateLimit(1, api_limits.POLLS_PER_SECOND)]
POLLS_OF_ADDRESS = [RateLimit(_MINUTE, api_limits.POLLS_OF_ADDRESS_PER_MINUTE)]
_IPV6_CLIENT_BITS = 64

log = structlog.get_logger(__name__)


async def throttle(request: Request, principal: Principal, *, in_project: bool) -> None:
    """Count one request against the request limits of its project if `in_project`, and otherwise of its user."""
    settings = process_of(request).settings
    limits = _limits(settings.throttle_per_minute, settings.throttle_per_hour)
    if not limits:
        return
    bucket = f"project:{principal.project.id}" if in_project else f"user:{principal.user_id}"
    quota = await _count(request, bucket, limits)
    if quota is not None:
        request.scope[RATE_LIMIT] = [
            (b"ratelimit-limit", b"%d" % quota.limit),
            (b"ratelimit-remaining", b"%d" % quota.remaining),
            (b"ratelimit-reset", b"%d" % quota.reset),
        ]
    _refuse_above(quota)


async def throttle_address(request: Request, purpose: str) -> None:
    """Count one request of a client without a key against the limit of the client's IP address."""
    await throttle_by(request, f"{purpose}:{address_of(request)}", _OF_ADDRESS)


async def throttle_wrong_signatures(request: Request, work: Awaitable[Result]) -> Result:
    """Return the result of `work` on a signed request; count the request only if its signature is wrong."""
    try:
        return await work
    except WrongSignature:
        # Requests with a right signature do not count: those of all projects come from a few addresses of GitHub.
        await throttle_address(request, "github")
        raise


async def throttle_by(
    request: Request, bucket: str, limits: Sequence[RateLimit], *, refusal: AppError | None = None
) -> None:
    """Count one request against limits other than those of its project or user. Raises Throttled, or `refusal`."""
    _refuse_above(await _count(request, bucket, limits), refusal)


async def _count(request: Request, bucket: str, limits: Sequence[RateLimit]) -> Quota | None:
    process = process_of(request)
    try:
        return await process.rate_limiter.hit(process.redis, bucket, limits, now=utcnow().timestamp())
    except REDIS_ERRORS as error:
        log.warning("throttle.unavailable", error=repr(error))
        return None


def _refuse_above(quota: Quota | None, refusal: AppError | None = None) -> None:
    if quota is not None and quota.retry_after is not None:
        raise refusal or Throttled(retry_after=quota.retry_after)


def address_of(request: Request) -> str:
    """Return the address of a client, "" if unknown; of IPv6 its /64 network, which belongs to one client."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Network((address, _IPV6_CLIENT_BITS), strict=False))
    return host


@cache
def _limits(per_minute: int, per_hour: int) -> list[RateLimit]:
    return [RateLimit(window, limit) for window, limit in ((_MINUTE, per_minute), (_HOUR, per_hour)) if limit]
