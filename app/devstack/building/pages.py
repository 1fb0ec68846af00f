"""`make console`: build the console from its sources, with Node from PATH or from PyPI.

The build is put beside the module that serves it (app/web/console/files.py), where the wheel and the image have it too.
It is replaced when it is complete, so a failure leaves the last one. Does nothing if all is current.
"""

import fcntl
import gzip
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import app
from app.config import Settings
from app.devstack.building.npm import find_npm, install_npm, installed_npm, put
from app.devstack.console import Console
from app.devstack.errors import DevstackError

SKIP = "SKIP_CONSOLE_BUILD"

_PACKAGE = Path(app.__file__ or "").absolute().parent
_SOURCE = _PACKAGE.parent / "console"
_PLACE = _PACKAGE / "web" / "console"
_STAMP = ".source"
_OLDEST_NODE = (20, 19)  # as console/package.json says
_MADE = frozenset({"node_modules", "dist"})
_COMPRESSED = frozenset({".css", ".html", ".js", ".json", ".svg", ".webmanifest"})
_SMALLEST = 1024  # bytes; less does not repay another file
# Without a network the wait should be seconds.
_INSTALL = ("ci", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000")


def is_built() -> bool:
    """Return whether a console is built, of whatever sources."""
    return (_PLACE / "dist" / "index.html").is_file()


def is_wanted() -> bool:
    """Return whether there are sources that the build does not have yet; `SKIP_CONSOLE_BUILD=1` says that there are none."""
    return os.environ.get(SKIP, "0") in {"", "0"} and _is_checkout() and not _is_current(_PLACE / "dist")


def build_pages(home: Path, console: Console) -> bool:
    """Build the console unless it is current; return whether it was built. Raises DevstackError."""
    if not _is_checkout():
        raise DevstackError(f"there are no sources of the console in {_SOURCE}")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / ".console.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_current(_PLACE / "dist"):
            return False
        digest = _digest()
        scratch = home / "console-build"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        npm = find_npm(_OLDEST_NODE) or installed_npm(home)
        npm = npm or install_npm(home, scratch, _OLDEST_NODE, console)
        with console.step("Packages of the console"):
            npm.run(_INSTALL, _SOURCE)
        with console.step("Console"):
            npm.run(("run", "build"), _SOURCE)
            _copy(_SOURCE / "dist", _PLACE, digest)
        shutil.rmtree(scratch)
    return True


def _copy(built: Path, place: Path, digest: str) -> None:
    """Put a build beside the module that serves it, with compressed forms of its texts."""
    fresh = place / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    made = fresh / "dist"
    shutil.copytree(built, made)
    for file in [file for file in made.rglob("*") if file.suffix in _COMPRESSED]:
        content = file.read_bytes()
        if len(content) >= _SMALLEST:
            file.with_name(file.name + ".gz").write_bytes(gzip.compress(content, mtime=0))
    (made / _STAMP).write_text(digest)
    put(made, place)
    fresh.rmdir()


def _is_checkout() -> bool:
    return (_SOURCE / "package-lock.json").is_file()


def _is_current(dist: Path) -> bool:
    stamp = dist / _STAMP
    return stamp.is_file() and stamp.read_text() == _digest()


def _digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(_sources(_SOURCE)):
        digest.update(file.relative_to(_SOURCE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir():
            if path.name not in _MADE:
                yield from _sources(path)
        elif path.is_file():
            yield path


def main() -> int:
    """Build, and say where the result is; return an exit status."""
    console = Console()
    console.title("Console")
    started = time.monotonic()
    try:
        if not build_pages(Settings(development=True).home.absolute(), console):
            console.line("  It is built already.")
    except DevstackError as error:
        console.line()
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.done("`make run` serves it at /console", time.monotonic() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
