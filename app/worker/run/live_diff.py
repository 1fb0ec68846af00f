"""Shows what an agent has changed while it works or waits: to clients that ask, and as figures to followers."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson
import structlog

from app.agents.errors import AgentError
from app.agents.execution.run_context import Look
from app.agents.workspace.comparing import Comparison
from app.clients.run_event_stream import channel_of
from app.clock import utcnow
from app.db import unit_of_work
from app.enums import DiffMissing
from app.periodic import attempt, wait
from app.services.artifacts import live_diff
from app.services.artifacts.live_diff import FRESH_SECONDS, LiveFacts
from app.services.artifacts.patches import total_changes
from app.services.run_facts import CHANGES
from app.services.runs.queue import Claim
from app.services.runs.usage import note_fact
from app.worker.run.log_recorder import RunLog
from app.worker.worker_context import WorkerContext

log = structlog.get_logger(__name__)
_FRAME_SECONDS = 5.0
_LONGEST_SECONDS = 20.0
# A diff that takes long is made seldom: it must not slow the agent down.
_PAUSES = 20


class LiveDiffs:
    """The diffs of one run. Made for a client that asks, and after a step of the agent if a client follows the run."""

    def __init__(self, worker: WorkerContext, claim: Claim, run_log: RunLog) -> None:
        self._worker = worker
        self._claim = claim
        self._log = run_log
        self._redis = worker.process.redis
        self._tree: str | None = None
        self._seen = 0
        self._next_at = 0.0
        # What followers do not know yet.
        self._news: LiveFacts | None = None
        self._announced_at = -_FRAME_SECONDS

    async def show(self, look: Look) -> None:
        """Make diffs by `look` until cancelled."""
        topic = live_diff.topic_of(self._claim.run_id)
        with self._worker.changes.watch_topic(topic) as asked:
            while True:
                is_asked = await wait(asked, _FRAME_SECONDS)
                asked.clear()
                await attempt(partial(self._step, look, is_asked=is_asked), event="live_diff.not_made")

    async def _step(self, look: Look, *, is_asked: bool) -> None:
        [(_, followers)] = await self._redis.pubsub_numsub(channel_of(self._claim.run_id))
        if is_asked or (followers and self._log.entries != self._seen):
            await self._refresh(look)
        now = asyncio.get_running_loop().time()
        if followers and self._news is not None and now >= self._announced_at + _FRAME_SECONDS:
            self._announced_at = now
            await self._announce(self._news)
            self._news = None

    async def _refresh(self, look: Look) -> None:
        loop, redis, run_id = asyncio.get_running_loop(), self._redis, self._claim.run_id
        began = loop.time()
        if began < self._next_at and await live_diff.confirm(redis, run_id):
            return
        self._seen = self._log.entries
        at, found, missing = utcnow().isoformat(), None, DiffMissing.NOT_STARTED
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                found = await look()
        except (AgentError, TimeoutError) as error:
            log.warning("live_diff.not_compared", error=repr(error))
            missing = DiffMissing.TOO_LARGE
        shown = found or Comparison(patch=b"")
        facts = LiveFacts(
            tree=shown.tree if found else None,
            at=at,
            totals=await asyncio.to_thread(total_changes, shown.patch) if found else None,
            sizes=dict(shown.sizes),
            left_out=list(shown.notes),
            missing=None if found else missing,
        )
        await live_diff.keep(redis, run_id, facts, shown.patch, shown.texts)
        self._next_at = began + max(FRESH_SECONDS, _PAUSES * (loop.time() - began))
        if facts["tree"] not in (None, self._tree):
            self._news = facts
        self._tree = facts["tree"]

    async def _announce(self, facts: LiveFacts) -> None:
        totals: Mapping[str, Any] = facts["totals"] or {}
        async with unit_of_work(self._worker.process.sessions) as session:
            await note_fact(session, self._claim.run_id, CHANGES, totals, owner=self._claim.owner)
        said = {"type": "run.changes", **totals, "tree": facts["tree"], "at": facts["at"]}
        self._worker.process.events.put(self._claim.run_id, orjson.dumps(said))
