"""The release before this one, as operators have it: a wheel of its commit, in an environment of its own lock.

It is in a folder of its own, below the home folder. The stamp is written last: an installation that was interrupted is
repeated.
"""

import fcntl
import re
import subprocess
import sys
from pathlib import Path

from app.devstack.bootstrap import uv_environment
from tests.support.deployment.home import developers_home

_ROOT = Path(__file__).parents[3]
# The first section of the changelog with a commit is the newest release.
_COMMIT = re.compile(r"\bcommit ([0-9a-f]{8,40})\b")


def release_before() -> Path:
    """Return the program `taskbeacon` of the release before this one; install it first if it is not."""
    match = _COMMIT.search((_ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert match is not None
    folder = developers_home() / "releases" / match[1]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    program, stamp = folder / "venv/bin/taskbeacon", folder / ".installed"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            _install(match[1], folder)
            stamp.touch()
    return program


def _install(commit: str, folder: Path) -> None:
    source, python = folder / "source", folder / "venv/bin/python"
    source.mkdir(exist_ok=True)
    archive = subprocess.run(["git", "-C", str(_ROOT), "archive", commit], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True)
    _uv("venv", "--clear", "--python", sys.executable, str(folder / "venv"))
    install = ("pip", "install", "--python", str(python))
    _uv(*install, "--require-hashes", "-r", str(source / "requirements-image.lock"))
    _uv(*install, "--no-deps", str(source))


def _uv(*arguments: str) -> None:
    environment = uv_environment() | {"SKIP_CONSOLE_BUILD": "1"}
    subprocess.run(
        [sys.executable, "-m", "uv", "--quiet", *arguments], env=environment, check=True, timeout=600
    )
