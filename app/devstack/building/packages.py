"""The console's npm packages. They are installed next to its sources, again when package-lock.json has changed."""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import app
from app.devstack.building.npm import Npm, find_installed_npm, find_npm, install_npm
from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput

SOURCE = Path(app.__file__ or "").absolute().parents[1] / "console"

_OLDEST_NODE = (20, 19)  # as console/package.json says
# Which lock was installed, and how much of it. npm removes the folder before it installs.
_STAMP = Path("node_modules", ".installed")
# Without a network the wait should be seconds. No package needs its scripts.
_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000")
_TO_BUILD, _ALL = "to build", "all"


def is_checkout() -> bool:
    """Return whether the sources of the console are present; an installed wheel does not have them."""
    return (SOURCE / "package-lock.json").is_file()


@contextmanager
def lock_builds(home: Path) -> Iterator[None]:
    """Hold the lock on builds of the console in this home folder during the block, after waiting until it is free."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / ".console.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def npm_with_packages(home: Path, terminal: TerminalOutput, *, with_tools: bool) -> Npm:
    """Install the console's npm packages unless they are current. Return the npm to use with them."""
    if not is_checkout():
        raise DevstackError(f"there are no sources of the console in {SOURCE}")
    npm = find_npm(_OLDEST_NODE) or find_installed_npm(home) or _install_node(home, terminal)
    digest = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
    stamp = SOURCE / _STAMP
    there = stamp.read_text() if stamp.is_file() else ""
    wanted = _ALL if with_tools else _TO_BUILD
    if there not in {f"{digest} {wanted}", f"{digest} {_ALL}"}:
        with terminal.step("Packages of the console"):
            npm.run(_INSTALL if with_tools else (*_INSTALL, "--omit=dev"), SOURCE)
        stamp.parent.mkdir(exist_ok=True)  # there may be no packages
        stamp.write_text(f"{digest} {wanted}")
    return npm


def _install_node(home: Path, terminal: TerminalOutput) -> Npm:
    scratch = home / "console-build"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        return install_npm(home, scratch, _OLDEST_NODE, terminal)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
