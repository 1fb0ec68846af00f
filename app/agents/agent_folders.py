"""Paths of an agent's clone, home and temporary folder, outside the sandbox and inside it."""

from pathlib import Path
from typing import NamedTuple


class AgentFolders(NamedTuple):
    folder: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"
