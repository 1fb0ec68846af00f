"""Remove known secrets and the worker's folders from the output of a run: log, summary, error message.

This prevents accidents. It does not stop an agent that encodes a secret first.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any  # JSON

from app.agents.agent_folders import AgentFolders
from app.json_types import JsonDict

MASK = "***"
# Shorter values may be common words like "true" or "8080".
_SHORTEST = 8


class Masker:
    """Replaces known secrets by `***` in texts and JSON; not those below eight characters, which may be words."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first, because a secret may contain another one.
        longest_first = sorted({text for text in secrets if len(text) >= _SHORTEST}, key=len, reverse=True)
        self._replacements = [(secret, MASK) for secret in longest_first]

    def text(self, text: str) -> str:
        for found, shown in self._replacements:
            text = text.replace(found, shown)
        return text

    def mask_emit(self, emit: Callable[[JsonDict], Awaitable[None]]) -> Callable[[JsonDict], Awaitable[None]]:
        async def masked(entry: JsonDict) -> None:
            await emit(self.value(entry))

        return masked

    def value(self, value: object) -> Any:
        """Return a JSON value in which `***` replaces the secrets, in its texts and in the names of its fields."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value


class FolderHider(Masker):
    """Hides the places of a run from clients: paths become relative to `work`, to `~` for `home`, or to the folder."""

    def __init__(self, *places: AgentFolders) -> None:
        """Take the same places by all names that a text may have: outside, and inside the sandbox."""
        super().__init__(())
        self._replacements = []
        for name in dict.fromkeys(places):
            self._replacements += [(f"{name.work}/", ""), (str(name.work), "."), (str(name.home), "~")]
            self._replacements.append((f"{name.folder}/", ""))
