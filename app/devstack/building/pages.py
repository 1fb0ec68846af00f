"""`make console`: build the console from its sources, with Node from PATH or from PyPI.

The build is stored next to the module that serves it (app/web/console/files.py), as in the wheel and in the image. A
new build replaces the last one only when it is complete, so a failure keeps the last one. If the build is current,
nothing is done.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import app
from app.config import Settings
from app.devstack.building import packages
from app.devstack.building.npm import put
from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput

SKIP = "SKIP_CONSOLE_BUILD"

_PLACE = Path(app.__file__ or "").absolute().parent / "web" / "console"
_STAMP = ".source"
# No build reads them.
_APART = frozenset({"node_modules", "dist", "e2e", "schema.d.ts"})


def is_built() -> bool:
    """Return whether there is a build of the console, even if its sources have changed since."""
    return (_PLACE / "dist" / "index.html").is_file()


def is_wanted() -> bool:
    """Return whether the console must be built: there is no build, or the sources have changed since the last one."""
    is_skipped = os.environ.get(SKIP, "0") not in {"", "0"}
    return not is_skipped and packages.is_checkout() and not _is_current(_PLACE / "dist")


def build_pages(home: Path, terminal: TerminalOutput) -> bool:
    """Build the console, and return True. If the last build is current, do nothing, and return False."""
    with packages.lock_builds(home):
        if packages.is_checkout() and _is_current(_PLACE / "dist"):
            return False
        npm = packages.npm_with_packages(home, terminal, with_tools=False)
        digest = _digest()
        with terminal.step("Build of the console"):
            npm.run(("run", "build"), packages.SOURCE)
            _copy(packages.SOURCE / "dist", _PLACE, digest)
    return True


def _copy(built: Path, place: Path, digest: str) -> None:
    fresh = place / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    made = fresh / "dist"
    shutil.copytree(built, made)
    (made / _STAMP).write_text(digest)
    put(made, place)
    fresh.rmdir()


def _is_current(dist: Path) -> bool:
    stamp = dist / _STAMP
    return stamp.is_file() and stamp.read_text() == _digest()


def _digest() -> str:
    source = packages.SOURCE
    digest = hashlib.sha256()
    for file in sorted(_sources(source)):
        digest.update(file.relative_to(source).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in _APART:
            continue
        if path.is_dir():
            yield from _sources(path)
        else:
            yield path


def main() -> int:
    """Build the console unless the last build is current, and print the result. Return an exit status."""
    terminal = TerminalOutput()
    started = time.monotonic()
    try:
        if not build_pages(Settings(development=True).home.absolute(), terminal):
            terminal.line("  It is built already.")
    except DevstackError as error:
        terminal.line()
        print(f"Error: {error}", file=sys.stderr)
        return 1
    terminal.step_done("`make run` serves it at /console", time.monotonic() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
