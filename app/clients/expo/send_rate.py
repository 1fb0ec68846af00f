"""Limit the rate of sending messages for all processes together, by the generic cell rate algorithm in Redis."""

import structlog

from app.clients.pushes.push import Deadline
from app.clients.redis import RedisClient
from app.outages import REDIS_ERRORS

# Returns the microseconds until the reserved slot; -1, without a reservation, if that is beyond the caller's limit.
# Uses the clock of the server, the same for all processes.
_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local next_free = tonumber(redis.call('GET', KEYS[1]) or now)
local start = math.max(now, next_free)
local length = math.floor(tonumber(ARGV[1]))
if start - now > tonumber(ARGV[2]) then return -1 end
redis.call('SET', KEYS[1], string.format('%.0f', start + length), 'PX', math.ceil((start + length - now) / 1000) + 1)
return start - now
"""
_MICROSECONDS = 1_000_000
# The longest wait, even if the deadline is later.
_LONGEST_WAIT_SECONDS = 300

log = structlog.get_logger(__name__)


class SendRate:
    """At most `per_second` messages for all processes, counted under `key`; without Redis there is no limit."""

    def __init__(self, redis: RedisClient, key: str, *, per_second: int) -> None:
        self._reserve = redis.register_script(_RESERVE)
        self._key = key
        self._per_second = per_second

    async def take(self, count: int, deadline: Deadline) -> bool:
        """Wait until `count` messages may be sent; return False at once if that is after the deadline."""
        if deadline.is_past:
            return False
        length = count * _MICROSECONDS // self._per_second
        patience = int(min(deadline.seconds_left, _LONGEST_WAIT_SECONDS) * _MICROSECONDS)
        try:
            wait = int(await self._reserve(keys=[self._key], args=[length, patience]))
        except REDIS_ERRORS as error:
            log.warning("send_rate.unavailable", error=repr(error))
            wait = 0
        if wait < 0:
            return False
        await deadline.sleep(wait / _MICROSECONDS)
        return not deadline.is_past
