"""When a request is sent again, and after how long a pause."""

import time
from collections.abc import Callable
from typing import Any, Final

from taskbeacon.client.errors import ConnectionFailed, TaskbeaconError, WaitTimeout
from taskbeacon.client.steps import Answer, Flow, Open, Pause, Send

FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
_LONGEST_RETRY_AFTER: Final = 60.0


def answered(step: Send | Open, pause_after: Callable[[TaskbeaconError], float | None]) -> Flow[Any]:
    """Return the outcome once its answer is good. Raises an error after which there is no pause, or WaitTimeout."""
    while True:
        try:
            outcome = yield step
        except ConnectionFailed as failure:
            error: TaskbeaconError = failure
        else:
            answer: Answer = outcome[0] if isinstance(step, Open) else outcome
            if answer.is_good:
                return outcome
            error = answer.error
        if (pause := pause_after(error)) is None:
            raise error
        if (left := step.request.deadline - time.monotonic()) <= 0:
            raise WaitTimeout(f"The time is over: {error.message}") from error
        yield Pause(min(pause, left))


class Retries:
    """At most `most` repetitions, after growing pauses or the server's `Retry-After` if that is short."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.failures = 0

    def pause_after(self, error: TaskbeaconError) -> float | None:
        requested = error.retry_after
        if not error.retryable or self.failures >= self._most or (requested or 0) > _LONGEST_RETRY_AFTER:
            return None
        self.failures += 1
        return _growing_pause(self.failures) if requested is None else requested


class Patience:
    """Repetitions while the last answer is at most `seconds` old."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._failures = 0
        self._heard = time.monotonic()

    def hear(self) -> None:
        """Reset time and pauses: the server has sent data."""
        self._heard, self._failures = time.monotonic(), 0

    def until_answered(self, step: Send | Open) -> Flow[Any]:
        """Return the outcome of a step. Raises an error that cannot be retried, or the last one."""
        outcome = yield from answered(step, self._pause_after)
        # An answer that brings nothing more does not shorten the next pause.
        self._heard = time.monotonic()
        return outcome

    def pause(self) -> Flow[None]:
        """Wait a little longer than the last time."""
        self._failures += 1
        yield Pause(_growing_pause(self._failures))

    def _pause_after(self, error: TaskbeaconError) -> float | None:
        if not error.retryable or time.monotonic() - self._heard >= self._seconds:
            return None
        self._failures += 1
        return max(_growing_pause(self._failures), min(error.retry_after or 0.0, _LONGEST_RETRY_AFTER))


def _growing_pause(failures: int) -> float:
    import random  # noqa: PLC0415 - pauses alone need it

    spread = random.uniform(0.75, 1.25)  # noqa: S311 - to spread requests
    return min(FIRST_PAUSE * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE) * spread
