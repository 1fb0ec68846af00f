"""The retries of failed work on one page: after which failure, with which delays in seconds, until when.

A policy keeps its job waiting; a schedule stores the next attempt in a row. `app/clients` repeats a failed call to
Redis or S3 once.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Final

from app.clients.github.github_errors import GitHubUnavailable
from app.clients.storage.object_store_errors import ObjectStoreUnavailable
from app.errors import Unavailable
from app.outages import DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The errors after which a step is repeated, the delays, and how long attempts may begin; `event` is logged."""

    errors: tuple[type[Exception], ...]
    delays: tuple[float, ...]
    event: str
    within: float
    # An error's `retry_after` replaces the delay if it is at most this many seconds, else it ends the tries.
    # None: errors ask for no delay.
    longest_retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The delays between attempts of which the next is stored in a row; the last one is for all further failures."""

    delays: tuple[float, ...]
    # Rows that failed together do not return together: each delay is multiplied by a random factor up to this.
    jitter: float

    def delay(self, failures: int, retry_after: float | None = None) -> float:
        """Return the seconds to wait after `failures`, at least the server's `retry_after`."""
        step = self.delays[min(failures, len(self.delays)) - 1]
        return max(step * random.uniform(1.0, self.jitter), retry_after or 0.0)  # noqa: S311 - not a secret


@dataclass(frozen=True, slots=True)
class Probing:
    """How often a destination that refuses everything is tried: after as long as it has failed, within two limits."""

    shortest: timedelta
    longest: timedelta

    def next_at(self, failing_since: datetime, now: datetime) -> datetime:
        """Return the time of the next probe of a destination that has just failed."""
        return now + min(max(now - failing_since, self.shortest), self.longest)


# Without a heartbeat for this long, the worker of a run, or of its checks, counts as lost.
RUN_LEASE: Final = timedelta(seconds=60)
# Somewhat less than a lease: after that, the sweep decides about the run.
DATABASE: Final = RetryPolicy(
    (DatabaseUnavailable,), (0.5, 1, 2, 4, 8, 16), "database.unavailable", within=35.0
)
# The lock of a log lapses after this time, or later if the store has much to copy. Its holder stops well before, so
# that the store can finish a request that the holder has cancelled before another writer begins. A lock that is not
# released (its holder died, the database was unavailable, or the store may still write) lapses before other writers of
# an ordinary log stop waiting.
LOG_LOCK_LEASE: Final = timedelta(seconds=15)
LOG_LOCK_PATIENCE: Final = timedelta(seconds=20)
# Less than the lease: later, another writer may have the lock.
LOG_LOCK: Final = RetryPolicy(
    (DatabaseUnavailable,), (0.1, 0.3, 1, 2, 4), "run_log.lock_not_released", within=10.0
)
ATTACHMENT: Final = RetryPolicy(
    (ObjectStoreUnavailable,), (1, 2, 4, 8), "attachment.not_fetched", within=60.0
)
# GitHub's Retry-After counts, unless it is longer than people who wait for the run would accept.
CODE_HOST: Final = RetryPolicy(
    (GitHubUnavailable,), (1, 4, 15), "code_host.unavailable", within=180.0, longest_retry_after=60.0
)
# One process at a time writes about a branch. Each attempt takes the lease again.
PULL_REQUEST_LEASE: Final = timedelta(seconds=90)
# How long a process waits while others write. One that then writes a verdict still has time in `VERDICT_REPORT_LEASE`.
PULL_REQUEST_PATIENCE: Final = 2 * PULL_REQUEST_LEASE
PULL_REQUEST_LOOK_SECONDS: Final = 1.0  # the interval at which a waiting process asks for the lease
# The report of a verdict is retried for a day after the verdict. Each attempt takes the lease again.
VERDICT_REPORT_LEASE: Final = timedelta(minutes=5)
VERDICT_REPORT_SECONDS: Final = 86_400.0
# The files of a run: the last delay is repeated until `TASKBEACON_WORKER_STORE_WAIT_SECONDS` have passed, or the brief
# time below for a cancelled run and a stopping worker. Storing files needs the database and the lock of the log too.
RUN_FILES: Final = RetryPolicy(
    (DatabaseUnavailable, ObjectStoreUnavailable, Unavailable),
    (0.5, 1, 2, 4, 8),
    "store.waited_for",
    within=inf,
)
RUN_FILES_BRIEF_SECONDS: Final = 15.0

# A push is retried for an hour after its event; later it is useless.
PUSH: Final = RetrySchedule((5, 10, 20, 40, 80, 160, 300), jitter=1.5)
PUSH_SECONDS: Final = 3600.0
# How long a worker holds a push that it has claimed.
PUSH_LEASE: Final = timedelta(seconds=60)
# An hour of failures takes fewer claims. If results cannot be stored, each claim sends the push again, for two hours.
PUSH_CLAIMS: Final = 120
# Each process probes a push service by itself. Waiting pushes are sent within a minute after the service has returned.
PUSH_PROBES: Final = Probing(timedelta(seconds=5), timedelta(seconds=35))
# A webhook delivery: ten attempts in about 75 hours (Standard Webhooks 1.0.0).
_HOUR = 3600.0
WEBHOOK: Final = RetrySchedule(
    (5, 300, 1800, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR), jitter=1.2
)
WEBHOOK_ATTEMPTS: Final = len(WEBHOOK.delays) + 1
# Longer than an attempt (17 s) and the time in which its result may be stored (`DATABASE.within`): a shorter lease
# would send delivered messages again. Until it ends, the deliveries of a killed worker count as attempts in progress.
WEBHOOK_LEASE: Final = timedelta(seconds=60)
# A delivery whose results cannot be stored gets this many more attempts. Each of them sends its message again.
WEBHOOK_LOST_ATTEMPTS: Final = 10
# How long a recovery of deliveries pauses after an unexpected error.
WEBHOOK_RECOVERY_PAUSE: Final = timedelta(minutes=1)
# All workers together probe a webhook endpoint.
WEBHOOK_PROBES: Final = Probing(timedelta(seconds=5), timedelta(minutes=5))

# A run fails when it has lost this many workers, each before its agent had started.
RUN_LOSSES: Final = 3
# An attempt to check a run is concluded without its worker when it has lost this many workers.
ATTEMPT_LOSSES: Final = 3
# The pause before a loop of the worker, or the listener that wakes it, tries Redis or the database again.
LOOP_SECONDS: Final = 2.0
LIVE_EVENTS_SECONDS: Final = 0.5  # the pause before Redis is tried again for sending or following live events
