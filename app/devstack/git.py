"""Run git for the demo and for `taskbeacon try`."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from app.devstack.errors import DevstackError


def require_git() -> None:
    """Raise DevstackError if git is not installed."""
    if shutil.which("git") is None:
        raise DevstackError("git is needed for this: install it (Debian: apt-get install git)")


def run_git(
    *arguments: str, environment: Mapping[str, str], seconds: float, failure: str, cwd: Path | None = None
) -> str:
    """Run git, wait until it has ended, and return its standard output."""
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - the person's git, wherever it is
            cwd=cwd,
            env={**environment, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip() or f"git failed with status {error.returncode}"
        raise DevstackError(f"{failure}: {reason}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevstackError(f"{failure}: {error}") from error
    return done.stdout
