"""The events of a run, kept for a day in a Redis stream for followers that connect later.

An id is `<epoch>-<number>`: the start of the stream in microseconds, and a number that counts from 1 without
holes. So a reader sees how many events it missed, and a new epoch if Redis was emptied. One script appends
and publishes events atomically: their order on the channel is the order of their ids.

Redis may lose all of this. Data that must not be lost is in the database and in the log of the run.
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
# Numbers with more digits are no ids of ours, and too large for Redis.
_MAX_DIGITS = 18


class EventKind(StrEnum):
    """The kind of an event in a run's live stream.

    It is stored separately from the content of the event, so that an agent's output cannot imitate another kind.
    """

    ENTRY = "entry"
    STATE = "state"
    # The first event of a run: a stream that begins with it is complete.
    OPENED = "opened"
    # The run is over; nothing follows, unless it is reopened.
    ENDED = "ended"
    # Events are missing here: `lost` of them could not be sent.
    GAP = "gap"
    # Replaces an event of `bytes`, which is too large for the stream.
    OMITTED = "omitted"


class EventId(NamedTuple):
    """The position of an event in a run's live stream, written `<epoch>-<number>`.

    Numbers count from 1 without gaps. A new epoch means that the stream was lost and began again.
    """

    epoch: int
    number: int

    @override
    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> "EventId | None":
        """Return the event id that a text represents, or None if the text is no event id."""
        epoch, _, number = text.partition("-")
        if not (_is_number(epoch) and _is_number(number)):
            return None
        return cls(int(epoch), int(number))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


@dataclass(frozen=True)
class RunEvent:
    """An event of a run's live stream. `data` is a JSON object on one line.

    `id` is None if the event is not stored in Redis.
    """

    id: EventId | None
    kind: EventKind
    data: bytes

    @cached_property
    def frame(self) -> bytes:
        """The event encoded as a server-sent event (SSE). It is encoded at the first access and then kept."""
        id_ = b"" if self.id is None else b"id: %b\n" % str(self.id).encode()
        name = b"event: gap\n" if self.kind is EventKind.GAP else b""
        return b"%b%bdata: %b\n\n" % (id_, name, self.data)


class RunEvents(Protocol):
    """The interface for publishing stream events of runs to followers, which `RedisRunEvents` implements."""

    def put(self, run_id: UUID, data: bytes, *, kind: EventKind = EventKind.ENTRY) -> None:
        """Queue a stream event for the followers of a run. Returns at once and never fails.

        Followers get stream events in the order of the calls. `data`, the content, is a JSON object on one line. If it
        is too large, or too many events wait, the event is dropped, and a short one of another kind says so.
        """
        ...

    async def settle(self) -> None:
        """Wait until all events queued so far are sent. Return early if Redis cannot be reached."""
        ...

    async def aclose(self) -> None:
        """Send the queued events. Those that are not sent within a few seconds are dropped."""
        ...


# Appends (number, kind, data)… of one writer. Events that this writer has sent already are skipped, so that it may
# repeat a call without an answer. Each entry holds the number of bytes before it, which bounds the stream.
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
    """Return the two Redis keys of a run's live stream.

    The first has the events. The second has the number of the last event that each writing process has sent.
    """
    return f"{_PREFIX}{run_id}", f"{_PREFIX}{run_id}:writers"


def channel_of(run_id: UUID) -> str:
    """Return the name of the Redis channel on which new stream events of a run are published."""
    return f"{_PREFIX}{run_id}"


def script_arguments(run_id: UUID, writer: str) -> tuple[str | int, ...]:
    """Return the first arguments of APPEND_SCRIPT, the Redis script that appends events to the live stream of a run.

    The caller adds the number, kind and data of each event. `writer` identifies the process that sends the events.
    """
    return (channel_of(run_id), writer, _LIFE_SECONDS, MAX_EVENTS, MAX_STREAM_BYTES)


def parse_message(message: bytes) -> RunEvent:
    """Return the event in a message that was received on a run's Redis channel."""
    id_, kind, data = message.split(b" ", 2)
    return RunEvent(EventId.parse(id_.decode()), EventKind(kind.decode()), data)


async def read_events(
    redis: RedisClient, run_id: UUID, *, after: EventId | None, count: int
) -> list[RunEvent]:
    """Return up to `count` events of a run's Redis stream, oldest first, beginning with the first one after `after`.

    If `after` is None, begin with the oldest event that Redis has.
    """
    start = "-" if after is None else f"({after}"
    return _parse(await redis.xrange(stream_keys(run_id)[0], min=start, count=count))


async def read_ends(redis: RedisClient, run_id: UUID) -> tuple[RunEvent, RunEvent] | None:
    """Return the oldest and the newest event of a run's Redis stream; None if the stream is empty."""
    key = stream_keys(run_id)[0]
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.xrange(key, count=1)
        pipeline.xrevrange(key, count=1)
        first, last = map(_parse, await pipeline.execute())
    return (first[0], last[0]) if first and last else None


def _parse(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[RunEvent]:
    return [
        RunEvent(EventId.parse(id_.decode()), EventKind(fields[b"kind"].decode()), fields[b"data"])
        for id_, fields in entries
    ]
