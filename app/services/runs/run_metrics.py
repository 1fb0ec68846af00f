"""Count runs in Prometheus metrics: those that wait, start and end, and their usage."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import RedisClient
from app.db import SessionFactory, after_commit, unit_of_work
from app.enums import RunReason
from app.json_types import JsonDict
from app.models.runs.run_facts import USAGE, USAGE_BEFORE
from app.outages import REDIS_ERRORS, DatabaseUnavailable
from app.services.events.ledger import Recorded
from app.services.run_log.log_entries import RunState
from app.services.runs.queue.queue_figures import read_figures
from app.services.runs.queue.worker_reports import read_reports
from app.services.runs.usage import read_usage

# From an immediate start to hours in the queue, and from one step of a runbook to a day of work.
_START_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400)
_END_SECONDS = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 86400)

_QUEUED = Gauge("taskbeacon_runs_queued", "Runs that wait for a worker, by the database.")
_OLDEST = Gauge("taskbeacon_runs_queued_oldest_seconds", "How long the oldest of them has waited.")
_ACTIVE = Gauge("taskbeacon_runs_active", "Runs that workers perform, by the database.")
_WORKERS = Gauge("taskbeacon_workers", "Workers that reported in the last minute.")
_SLOTS = Gauge("taskbeacon_worker_slots", "Runs that these workers perform at a time.")
_STARTED = Counter("taskbeacon_runs_started_total", "Runs that a worker began.")
_UNTIL_START = Histogram(
    "taskbeacon_run_start_seconds", "From the request for a worker to its claim.", buckets=_START_SECONDS
)
_ENDED = Counter("taskbeacon_runs_ended_total", "Runs that came to a final status.", ["status", "reason"])
_UNTIL_END = Histogram(
    "taskbeacon_run_end_seconds", "From the start of a run to its end.", ["status"], buckets=_END_SECONDS
)
_TOKENS = Counter("taskbeacon_run_tokens_total", "Tokens that ended runs used, where agents report them.")
_COST = Counter(
    "taskbeacon_run_cost_dollars_total", "US dollars that ended runs cost, where agents report them."
)
_LOST = Counter("taskbeacon_run_leases_lost_total", "Runs whose worker was lost.")

# The value of these gauges in a process that does not read the queue; workers do not.
_UNKNOWN = float("nan")
_BY_DATABASE, _BY_REPORTS = (_QUEUED, _OLDEST, _ACTIVE), (_WORKERS, _SLOTS)
for _gauge in (*_BY_DATABASE, *_BY_REPORTS):
    _gauge.set(_UNKNOWN)

log = structlog.get_logger(__name__)


class MovedRun(NamedTuple):
    run: RunState
    project_id: int
    facts: JsonDict
    attempts: int
    dispatch_requested_at: datetime | None
    started_at: datetime | None
    event_count: int
    traceparent: str | None
    recorded: Recorded | None


def count_started(session: AsyncSession, claimed: MovedRun) -> None:
    """Count a run as started in the metrics, once the session's transaction is committed."""
    asked_at, now = claimed.dispatch_requested_at, claimed.run.updated_at

    def count() -> None:
        _STARTED.inc()
        # A run that is claimed again after the loss of a worker has not waited since the request.
        if claimed.attempts == 1 and asked_at is not None:
            _UNTIL_START.observe((now - asked_at).total_seconds())

    after_commit(session, count)


def count_ended(session: AsyncSession, ended: Sequence[MovedRun], reason: RunReason) -> None:
    """Count runs that have ended in the metrics, by status and reason, once the session's transaction is committed."""

    def count() -> None:
        for moved in ended:
            status, ended_at = str(moved.run.status), moved.run.completed_at
            _ENDED.labels(status, reason.value).inc()
            if ended_at is not None and moved.started_at is not None:
                _UNTIL_END.labels(status).observe((ended_at - moved.started_at).total_seconds())
            # If the run was reopened, its previous end has counted what it had used by then.
            used, counted = (read_usage(moved.facts.get(fact)) for fact in (USAGE, USAGE_BEFORE))
            _TOKENS.inc(max(used.tokens - counted.tokens, 0))
            _COST.inc(max(used.cost - counted.cost, 0))

    after_commit(session, count)


def count_lost_leases(session: AsyncSession, number: int) -> None:
    after_commit(session, partial(_LOST.inc, number))


async def measure_queue(sessions: SessionFactory, redis: RedisClient) -> None:
    """Set the gauges of the queue and of the workers; what cannot be read becomes unknown."""
    queue, offered = (_UNKNOWN,) * 3, (_UNKNOWN,) * 2
    try:
        async with unit_of_work(sessions) as session:
            figures = await read_figures(session)
        queue = (figures.queued, figures.oldest_seconds, figures.active)
    except DatabaseUnavailable as error:
        log.warning("run_metrics.not_measured", error=repr(error))
    try:
        reports = await read_reports(redis)
        offered = (len(reports), sum(report["slots"] for report in reports))
    except REDIS_ERRORS as error:
        log.warning("worker_metrics.not_measured", error=repr(error))
    for gauge, value in zip((*_BY_DATABASE, *_BY_REPORTS), (*queue, *offered), strict=True):
        gauge.set(value)
