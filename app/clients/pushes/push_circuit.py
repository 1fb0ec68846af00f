"""A circuit breaker for a push service: after failures in a row, one request at a time probes it.

The state is that of this process, and is lost with it. Webhook endpoints have theirs in the database, for all workers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from app.clients.pushes.push import NotSent, TryLater
from app.clock import utcnow

Result = TypeVar("Result")
# Takes the time since which a destination has failed, and now; returns the time of its next probe.
NextProbe = Callable[[datetime, datetime], datetime]

# After this many failures in a row, a destination counts as unavailable.
OPEN_AFTER = 3
# While one message probes the destination, the others wait this long before they look again.
_PROBE_TIME = timedelta(seconds=2)
# A message that failed as the probe is due a little later than the waiting ones, so that another one probes next.
_TURN = timedelta(seconds=2)
_MOST_CIRCUITS = 1000

log = structlog.get_logger(__name__)


class Circuit:
    """One destination: closed while it takes requests, open after `OPEN_AFTER` failures in a row until a success."""

    def __init__(self, name: str, next_probe: NextProbe) -> None:
        self._name = name
        self._next_probe = next_probe
        self._failures = 0
        self._failing_since = utcnow()
        self._reason = ""
        # When the next probe may be sent. None: the circuit is closed.
        self._probe_at: datetime | None = None
        self._is_probed = False

    def hold(self) -> NotSent | None:
        """Return the outcome of a message that must wait for a probe; None if the message may be sent now."""
        now = utcnow()
        if self._probe_at is None or (self._probe_at <= now and not self._is_probed):
            return None
        return NotSent(self._reason, until=max(self._probe_at, now + _PROBE_TIME))

    async def call(self, request: Callable[[], Awaitable[Result]]) -> Result | TryLater | NotSent:
        """Make a request unless it must wait; while the circuit is open, one at a time probes the destination."""
        if (held := self.hold()) is not None:
            return held
        is_probe = self._is_probed = self._probe_at is not None
        try:
            result = await request()
        finally:
            if is_probe:
                self._is_probed = False
        if isinstance(result, TryLater):
            return self._fail(result)
        if self._probe_at is not None:
            away = utcnow() - self._failing_since
            log.info("destination.back", destination=self._name, away_seconds=away.total_seconds())
        self._failures, self._probe_at = 0, None
        return result

    def _fail(self, outcome: TryLater) -> TryLater:
        now = utcnow()
        if self._failures == 0:
            self._failing_since = now
        self._failures += 1
        self._reason = outcome.reason
        if self._failures < OPEN_AFTER:
            return outcome
        if self._probe_at is None:
            log.warning("destination.away", destination=self._name, reason=outcome.reason)
        requested = now + timedelta(seconds=outcome.retry_after or 0)
        self._probe_at = max(self._next_probe(self._failing_since, now), requested)
        return replace(outcome, until=self._probe_at + _TURN)


class Circuits:
    """The circuits of several destinations, such as the hosts of web push. The least recently used are dropped."""

    def __init__(self, next_probe: NextProbe) -> None:
        self._next_probe = next_probe
        self._circuits: dict[str, Circuit] = {}

    def of(self, name: str) -> Circuit:
        circuit = self._circuits.pop(name, None) or Circuit(name, self._next_probe)
        self._circuits[name] = circuit
        if len(self._circuits) > _MOST_CIRCUITS:
            del self._circuits[next(iter(self._circuits))]
        return circuit
