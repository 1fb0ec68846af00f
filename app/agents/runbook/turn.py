"""The turn of one prompt: what its thread waits for, until people cancel it."""

import threading
from collections.abc import Callable

__all__ = ["Turn", "TurnCancelled"]


class TurnCancelled(Exception):
    """Whoever gave the prompt wants its end."""


class Turn:
    """One thread waits; others tell it what happened, or cancel it."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._cancelled = False

    def cancel(self) -> None:
        """End the waiting of now and of later."""
        with self._news:
            self._cancelled = True
            self._news.notify()

    def wake(self) -> None:
        """Have the thread look whether what it waits for has happened."""
        with self._news:
            self._news.notify()

    def wait(self, has_happened: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait, at most `timeout` seconds; return whether it has happened. Raises TurnCancelled."""
        with self._news:
            self._news.wait_for(lambda: self._cancelled or has_happened(), timeout)
            self.go_on()
        return has_happened()

    def go_on(self) -> None:
        """Raise TurnCancelled if there is nothing to go on with."""
        if self._cancelled:
            raise TurnCancelled
