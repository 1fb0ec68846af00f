"""What the embedded servers share: a folder, a port on the loopback, and the way to find their programs."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from app.devstack.errors import DevstackError


class LocalServer:
    """A server that listens on a loopback port and keeps its data in a private folder."""

    name: ClassVar[str]

    def __init__(self, folder: Path, port: int, *, durable: bool) -> None:
        self._folder = folder
        self._port = port
        self._durable = durable
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def prepare(self) -> None:
        """Create what the service expects in the server, once it is ready."""

    def clean_up(self) -> None:
        """Remove what the stopped server left outside its folder."""


def wheel_folders(package: str) -> list[Path]:
    """Return the folder of an installed package, or [] if it is not installed."""
    spec = importlib.util.find_spec(package)
    return [] if spec is None or spec.origin is None else [Path(spec.origin).parent]


def find_program(name: str, candidates: Iterable[Path], *, settings: str) -> Path:
    """Return the first candidate that is a file. The error names the settings that make the program unnecessary."""
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DevstackError(f"{name} was not found: install the `devstack` extra, or set {settings}")
