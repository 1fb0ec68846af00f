"""Put the console into the wheel and the sdist if it is built; SKIP_CONSOLE_BUILD=1 leaves it out."""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from typing_extensions import override

_BUILT = "app/web/console/dist"


class Console(BuildHookInterface[Any]):
    """A build hook of hatch that adds the built console, which git ignores, and hatch would too."""

    @override
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the built console to the package that hatch builds."""
        is_skipped = os.environ.get("SKIP_CONSOLE_BUILD", "0") not in {"", "0"}
        if not is_skipped and (Path(self.root) / _BUILT / "index.html").is_file():
            build_data["artifacts"].append(f"/{_BUILT}/")
