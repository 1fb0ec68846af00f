"""End live streams that their callers may no longer read, by a few queries for all streams of this process."""

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.api_limits import STREAMS_PER_USER
from app.coroutines.periodic import every
from app.coroutines.shielded import SharedTask
from app.db import SessionFactory, unit_of_work
from app.errors import Throttled
from app.services.access.authentication import find_open_sessions, find_valid_keys
from app.services.access.principal import Principal
from app.services.access.visibility import find_memberships, find_visible_runs

# With the queries, less than the second that contract 6.4 and 17.5 allow.
_LOOK_SECONDS = 0.5
# The `Retry-After` of a refusal: until then, the service notices clients that have gone.
_AGAIN_SECONDS = 30


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    caller: Principal
    run_ids: Collection[UUID]
    end: Callable[[], None]


class StreamWatch:
    """Ends the live streams of this process that their callers may no longer read."""

    def __init__(self, *, most: int = STREAMS_PER_USER) -> None:
        self._most = most
        self._streams: set[_Stream] = set()
        self._looking = SharedTask(self._streams)

    @asynccontextmanager
    async def watching(
        self, sessions: SessionFactory, caller: Principal, run_ids: Collection[UUID], end: Callable[[], None]
    ) -> AsyncGenerator[None, None]:
        """Call `end` within a second after the caller loses access. Raises Throttled if their user has too many."""
        if sum(stream.caller.user_id == caller.user_id for stream in self._streams) >= self._most:
            raise Throttled(_AGAIN_SECONDS)
        stream = _Stream(caller, run_ids, end)
        looking = partial(every, _LOOK_SECONDS, partial(self._look, sessions), event="streams.not_looked_at")
        async with self._looking.beside(stream, lambda are_over: looking(until=are_over)):
            yield

    async def _look(self, sessions: SessionFactory) -> None:
        streams = tuple(self._streams)
        async with unit_of_work(sessions) as session:
            refused = await _refused(session, streams)
        for stream in refused:
            stream.end()


async def _refused(session: AsyncSession, streams: Collection[_Stream]) -> Collection[_Stream]:
    callers = [stream.caller for stream in streams]
    session_ids = {id_ for caller in callers if (id_ := caller.session_id)}
    key_ids = {id_ for caller in callers if (id_ := caller.key_id)}
    followed = {(stream.caller.user_id, run_id) for stream in streams for run_id in stream.run_ids}
    user_ids = {caller.user_id for caller in callers}
    project_ids = {caller.named_project.id for caller in callers if caller.named_project}
    open_sessions = await find_open_sessions(session, session_ids) if session_ids else set[UUID]()
    valid_keys = await find_valid_keys(session, key_ids) if key_ids else set[UUID]()
    visible = await find_visible_runs(session, followed) if followed else set[tuple[int, UUID]]()
    members = await find_memberships(session, user_ids, project_ids) if project_ids else {}

    def may_read(stream: _Stream) -> bool:
        caller = stream.caller
        return (
            caller.key_id in valid_keys
            and (caller.session_id is None or caller.session_id in open_sessions)
            and (caller.named_project is None or (caller.user_id, caller.named_project.id) in members)
            and all((caller.user_id, run_id) in visible for run_id in stream.run_ids)
        )

    return [stream for stream in streams if not may_read(stream)]
