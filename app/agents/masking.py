"""Keeps known secrets out of what a run tells: its log, its summary, the words of its failure.

A seat belt and no wall: an agent that has a secret can still write it backwards, or in two pieces.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any  # JSON

__all__ = ["MASK", "Masker"]

MASK = "***"
# Shorter values are words like "true" or "8080", which stand everywhere.
_SHORTEST = 8


class Masker:
    """Replaces the values it was made with, wherever they stand in a text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: one may hold another.
        self._secrets = sorted({text for text in secrets if len(text) >= _SHORTEST}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def emitting(
        self, emit: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> Callable[[dict[str, Any]], Awaitable[None]]:
        """Return a function that passes entries on without the secrets."""
        if not self._secrets:
            return emit

        async def masked(entry: dict[str, Any]) -> None:
            await emit(self.value(entry))

        return masked

    def value(self, value: Any) -> Any:
        """Return a JSON value without the secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value
