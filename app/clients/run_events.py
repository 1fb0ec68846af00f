"""The events of a run, kept for a day as a stream in Redis so that a late follower misses nothing.

An id is `<epoch>-<number>`: when the stream began, in microseconds, and a number that counts up from 1 without holes.
So a reader sees how many events it missed, and that a stream is another one because Redis was emptied. One script
appends events and publishes them, in one step: their order on the channel is the order of their ids.

Redis may lose all of this. What must not be lost is in the database and in the log of the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple, Protocol
from uuid import UUID

from typing_extensions import override

from app.clients.redis import RedisClient

MAX_EVENTS = 2000
MAX_EVENT_BYTES = 64 * 1024
MAX_STREAM_BYTES = 16 * 1024 * 1024

_LIFE_SECONDS = 24 * 3600
_PREFIX = "taskbeacon:run-events:"
# Beyond these a number is no id of ours, and more than Redis takes.
_MAX_DIGITS = 18


class EventKind(StrEnum):
    """The kind of an event in its stream, apart from its content: no content can forge it."""

    ENTRY = "entry"
    STATE = "state"
    # The first one of a run: a stream that begins with it is whole.
    OPENED = "opened"
    # The run is over; nothing follows, unless it is reopened.
    ENDED = "ended"
    # Events are missing here: `lost` of them could not be sent.
    GAP = "gap"
    # Stands for an event of `bytes`, which is too large for the stream.
    OMITTED = "omitted"


class EventId(NamedTuple):
    """The place of an event in its stream."""

    epoch: int
    number: int

    @override
    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> "EventId | None":
        """Return the id that a text stands for, or None."""
        epoch, _, number = text.partition("-")
        if not (_is_number(epoch) and _is_number(number)):
            return None
        return cls(int(epoch), int(number))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


@dataclass(frozen=True)
class RunEvent:
    """An event as it is read; `data` is a JSON object without line breaks. Without id it is not on the stream."""

    id: EventId | None
    kind: EventKind
    data: bytes

    @cached_property
    def frame(self) -> bytes:
        """The event as it is sent to browsers; made once, however many follow the run."""
        id_ = b"" if self.id is None else b"id: %b\n" % str(self.id).encode()
        return b"%bdata: %b\n\n" % (id_, self.data)


class RunEvents(Protocol):
    """Where events of runs are sent to their followers."""

    def put(self, run_id: UUID, data: bytes, *, kind: EventKind = EventKind.ENTRY) -> None:
        """Send a JSON object without line breaks soon, in the order of calls; never waits, never fails."""
        ...

    async def settle(self) -> None:
        """Return once what was put is sent, or Redis is found to be away."""
        ...

    async def aclose(self) -> None:
        """Send what is left, if that is possible at once."""
        ...


# Appends (number, kind, data)… of one writer. What this writer has sent already is left out, so that it may repeat
# itself when it did not hear the answer. Each entry knows how many bytes came before it: that bounds the stream.
APPEND_SCRIPT = """
local key, writers = KEYS[1], KEYS[2]
local channel, writer, life, max_events, max_bytes = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local sent = tonumber(redis.call('HGET', writers, writer) or '0')
local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
local epoch, number, bytes
if last then
  epoch, number = string.match(last[1], '^(%d+)-(%d+)$')
  number, bytes = tonumber(number), tonumber(last[2][6])
else
  local now = redis.call('TIME')
  epoch, number, bytes = now[1] .. string.format('%06d', now[2]), 0, 0
end
for i = 6, #ARGV, 3 do
  if tonumber(ARGV[i]) > sent then
    sent, number, bytes = tonumber(ARGV[i]), number + 1, bytes + #ARGV[i + 2]
    local id = epoch .. '-' .. string.format('%.0f', number)
    redis.call('XADD', key, 'MAXLEN', '~', max_events, id,
      'kind', ARGV[i + 1], 'data', ARGV[i + 2], 'bytes', string.format('%.0f', bytes))
    redis.call('PUBLISH', channel, id .. ' ' .. ARGV[i + 1] .. ' ' .. ARGV[i + 2])
  end
end
redis.call('HSET', writers, writer, string.format('%.0f', sent))
local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
while bytes - tonumber(first[2][6]) > max_bytes do
  redis.call('XTRIM', key, 'MAXLEN', redis.call('XLEN', key) - 50)
  first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
end
redis.call('EXPIRE', key, life)
redis.call('EXPIRE', writers, life)
"""


def stream_keys(run_id: UUID) -> tuple[str, str]:
    """Return the keys of the script: the stream, and how far each of its writers is."""
    return f"{_PREFIX}{run_id}", f"{_PREFIX}{run_id}:writers"


def channel_of(run_id: UUID) -> str:
    """Return the channel on which the events of a run are published."""
    return f"{_PREFIX}{run_id}"


def script_arguments(run_id: UUID, writer: str) -> tuple[str | int, ...]:
    """Return the script's arguments before the events."""
    return (channel_of(run_id), writer, _LIFE_SECONDS, MAX_EVENTS, MAX_STREAM_BYTES)


def parse_message(message: bytes) -> RunEvent:
    """Return the event that the script published."""
    id_, kind, data = message.split(b" ", 2)
    return RunEvent(EventId.parse(id_.decode()), EventKind(kind.decode()), data)


async def read_events(
    redis: RedisClient, run_id: UUID, *, after: EventId | None, count: int
) -> list[RunEvent]:
    """Return up to `count` events behind `after`, or from the beginning of what is left."""
    start = "-" if after is None else f"({after}"
    return _parsed(await redis.xrange(stream_keys(run_id)[0], min=start, count=count))


async def read_ends(redis: RedisClient, run_id: UUID) -> tuple[RunEvent, RunEvent] | None:
    """Return the first and the last event of what is left of a stream; None when there is none."""
    key = stream_keys(run_id)[0]
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.xrange(key, count=1)
        pipeline.xrevrange(key, count=1)
        first, last = map(_parsed, await pipeline.execute())
    return (first[0], last[0]) if first and last else None


def _parsed(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[RunEvent]:
    return [
        RunEvent(EventId.parse(id_.decode()), EventKind(fields[b"kind"].decode()), fields[b"data"])
        for id_, fields in entries
    ]
