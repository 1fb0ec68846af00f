"""Clone, home and temporary folder of an agent: below its run's folder, or where its processes see them."""

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
