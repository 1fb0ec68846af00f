"""The Redis stream of a run's events, kept for a day for followers that connect later.

An id is `<epoch>-<number>`, counted from 1 without holes, so readers see what they missed. One script appends and
publishes: the order on the channel is that of the ids.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from redis.exceptions import NoScriptError

from app.clients.live_events.run_events import EventId, EventKind, RunEvent
from app.clients.redis import RedisClient
from app.ids import new_hex_id
from app.outages import is_outage

MAX_EVENTS: Final = 2000
MAX_STREAM_BYTES: Final = 16 * 1024 * 1024

_MAX_ANSWERED: Final = 10_000
_LIFE_SECONDS: Final = 24 * 3600
_PREFIX: Final = "taskbeacon:run-events:"

# Appends the events (number, kind, data)… of one writer. Skips those that the writer has sent before, so that a call
# without an answer can be repeated. Each entry holds the number of bytes up to it, which bounds the size of the stream.
# If Redis has confirmed more events to the writer than this server has of it, the server has replaced another one, and
# followers may have seen other events with the next numbers: a new epoch begins.
_APPEND_SCRIPT = """
local key, writers = KEYS[1], KEYS[2]
local channel, writer, life, max_events, max_bytes = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local answered = tonumber(ARGV[6])
local sent = tonumber(redis.call('HGET', writers, writer) or '0')
local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
local epoch, number, bytes = '0', 0, 0
if last then
  epoch, number = string.match(last[1], '^(%d+)-(%d+)$')
  number, bytes = tonumber(number), tonumber(last[2][6])
end
if not last or sent < answered then
  local now = redis.call('TIME')
  epoch = string.format('%.0f', math.max(now[1] * 1000000 + now[2], tonumber(epoch) + 1))
  number = 0
end
for i = 7, #ARGV, 3 do
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
while first and bytes - tonumber(first[2][6]) > max_bytes do
  redis.call('XTRIM', key, 'MAXLEN', redis.call('XLEN', key) - 50)
  first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
end
redis.call('EXPIRE', key, life)
redis.call('EXPIRE', writers, life)
"""


def stream_keys(run_id: UUID) -> tuple[str, str]:
    return f"{_PREFIX}{run_id}", f"{_PREFIX}{run_id}:writers"


def channel_of(run_id: UUID) -> str:
    return f"{_PREFIX}{run_id}"


async def count_followers(redis: RedisClient, run_id: UUID) -> int:
    """Return how many processes follow the run's events."""
    [(_, count)] = await redis.pubsub_numsub(channel_of(run_id))
    return int(count)


class NewEvent(NamedTuple):
    """An event to append; its writer has counted the events of all runs to `number`."""

    number: int
    run_id: UUID
    kind: EventKind
    data: bytes


class StreamWriter:
    """Appends events to the streams of runs, each of them once, also if an append is repeated for lack of an answer."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._id = new_hex_id()
        self._script: str | None = None
        # The number of the last event that Redis has confirmed, by run; the runs that were confirmed last come last.
        self._answered: dict[UUID, int] = {}

    async def append(self, events: Iterable[NewEvent]) -> Mapping[UUID, Exception]:
        """Append events in one round trip; return the errors of runs whose events Redis refuses. Raises outages."""
        by_run: dict[UUID, list[NewEvent]] = {}
        for event in events:
            by_run.setdefault(event.run_id, []).append(event)
        answers = await self._execute(by_run)
        if any(isinstance(answer, NoScriptError) for answer in answers.values()):
            # Redis was restarted. If it lacks the script again, that is an outage.
            self._script = None
            answers = await self._execute(by_run)
        errors = {run_id: answer for run_id, answer in answers.items() if isinstance(answer, Exception)}
        for error in errors.values():
            if is_outage(error) or isinstance(error, NoScriptError):
                raise error
        for run_id, added in by_run.items():
            if run_id not in errors:
                self._note_answer(run_id, added[-1].number)
        return errors

    def _note_answer(self, run_id: UUID, number: int) -> None:
        self._answered.pop(run_id, None)
        self._answered[run_id] = number
        if len(self._answered) > _MAX_ANSWERED:
            del self._answered[next(iter(self._answered))]

    async def _execute(self, by_run: Mapping[UUID, Sequence[NewEvent]]) -> dict[UUID, object]:
        if self._script is None:
            self._script = await self._redis.script_load(_APPEND_SCRIPT)
        async with self._redis.pipeline(transaction=False) as pipeline:
            for run_id, events in by_run.items():
                bounds = (_LIFE_SECONDS, MAX_EVENTS, MAX_STREAM_BYTES, self._answered.get(run_id, 0))
                values = (value for event in events for value in (event.number, event.kind, event.data))
                keys = (*stream_keys(run_id), channel_of(run_id), self._id)
                pipeline.execute_command("EVALSHA", self._script, 2, *keys, *bounds, *values)
            answers = await pipeline.execute(raise_on_error=False)
        return dict(zip(by_run, answers, strict=True))


def parse_message(message: bytes) -> RunEvent:
    id_, kind, data = message.split(b" ", 2)
    return RunEvent(EventId.parse(id_.decode()), EventKind(kind.decode()), data)


async def read_events(
    redis: RedisClient, run_id: UUID, *, after: EventId | None, count: int
) -> list[RunEvent]:
    """Return up to `count` events of a run's Redis stream, oldest first, beginning with the first one after `after`."""
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
