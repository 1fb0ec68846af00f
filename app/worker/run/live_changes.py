"""Shows the changes of an agent while it works or waits: as diffs to clients that ask, as figures to followers."""

import asyncio
from functools import partial
from typing import Any

import orjson
import structlog

from app.agents.errors import AgentError, BranchNotFound
from app.agents.execution.run_context import Look
from app.agents.workspace.live_patch import Comparison
from app.clients.live_events.run_event_stream import count_followers
from app.clock import utcnow
from app.coroutines.periodic import attempt, wait
from app.db import unit_of_work
from app.enums import DiffBase, DiffMissing
from app.models.runs.run_facts import CHANGES, note_fact
from app.schemas.runs.diff import DiffFacts
from app.services.artifacts import live_diff
from app.services.runs.run_lifecycle import Claim
from app.worker.run.log_recorder import RunLog
from app.worker.worker_context import WorkerContext

log = structlog.get_logger(__name__)
# The interval at which to look for a new step of the agent.
_STEP_SECONDS = 5.0
# The greatest age of the figures in lists while no client follows the run.
_UNFOLLOWED_SECONDS = 15.0
_LONGEST_SECONDS = 20.0
# How long the end of a turn waits for the figures of its changes.
_PATIENT_SECONDS = 1.0


class LiveDiffs:
    """Makes the diffs of one run: on request, after each turn, and after steps, more often while a client follows."""

    def __init__(self, worker: WorkerContext, claim: Claim, run_log: RunLog) -> None:
        self._worker = worker
        self._claim = claim
        self._log = run_log
        self._redis = worker.process.redis
        self._tree: str | None = None
        self._seen = 0
        self._made_at = 0.0
        self._asked = asyncio.Event()
        self._caught_up = asyncio.Event()
        # The number of turns that have ended, and of those whose changes are stored.
        self._turns = 0
        self._noted_turns = 0

    async def catch_up(self) -> None:
        """Store the changes of the turn before people are notified that the agent waits; wait a second at most."""
        self._turns += 1
        self._caught_up.clear()
        self._asked.set()
        await wait(self._caught_up, _PATIENT_SECONDS)

    async def show(self, look: Look) -> None:
        """Make diffs by `look` until cancelled."""
        await asyncio.gather(*(self._show(look, base) for base in DiffBase))

    async def _show(self, look: Look, base: DiffBase) -> None:
        with self._worker.changes.watch_topic(live_diff.topic_of(self._claim.run_id, base)) as asked:
            if base is DiffBase.START:
                self._asked = asked
            while True:
                is_asked = await wait(asked, _STEP_SECONDS)
                asked.clear()
                await attempt(partial(self._step, look, base, is_asked), event="live_diff.not_made")

    async def _step(self, look: Look, base: DiffBase, is_asked: bool) -> None:
        is_shown, is_due, turns = False, False, self._turns
        if base is DiffBase.START:
            is_due = turns > self._noted_turns
            is_old = asyncio.get_running_loop().time() - self._made_at >= _UNFOLLOWED_SECONDS
            is_shown = is_old or await count_followers(self._redis, self._claim.run_id) > 0
        if is_asked or is_due or (is_shown and self._log.entries != self._seen):
            await self._refresh(look, base, is_noted=is_shown or is_due, is_due=is_due)
        if is_due:
            self._noted_turns = turns
            if turns == self._turns:
                self._caught_up.set()

    async def _refresh(self, look: Look, base: DiffBase, *, is_noted: bool, is_due: bool) -> None:
        topic = live_diff.topic_of(self._claim.run_id, base)
        if not is_due and await live_diff.is_fresh(self._redis, topic):
            return
        loop, entries = asyncio.get_running_loop(), self._log.entries
        began, at = loop.time(), utcnow()
        found, missing, notes = None, DiffMissing.NOT_STARTED, list[str]()
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                found = await look(base)
        except TimeoutError:
            missing = DiffMissing.TOO_LARGE
        except BranchNotFound:
            missing = DiffMissing.NO_BRANCH
        except AgentError as error:
            log.warning("live_diff.not_compared", error=repr(error))
            missing, notes = DiffMissing.FAILED, [error.message]
        shown = found or Comparison(patch=b"", notes=notes)
        facts: DiffFacts = {
            "tree": shown.tree if found else None,
            "at": at,
            "totals": shown.totals,
            "left_out": list(shown.notes),
            "missing": None if found else missing,
            "behind": shown.behind,
        }
        await live_diff.keep(self._redis, topic, facts, shown, took=loop.time() - began)
        if base is DiffBase.START:
            self._seen, self._made_at = entries, loop.time()
            if is_noted and facts["tree"] not in (None, self._tree):
                totals: Any = facts["totals"]
                async with unit_of_work(self._worker.process.sessions) as session:
                    await note_fact(session, self._claim.run_id, CHANGES, totals, owner=self._claim.owner)
                frame = {"type": "run.changes", **totals, "tree": facts["tree"], "at": facts["at"]}
                self._worker.process.events.put(self._claim.run_id, orjson.dumps(frame))
                self._tree = facts["tree"]
