"""The developer's home folder, where programs for tests are installed: the tests themselves run without settings."""

import os
from pathlib import Path

_NOTED = "TASKBEACON_TEST_HOME"


def note_home() -> None:
    """Remember the home folder of the environment before that is cleared."""
    if home := os.environ.get("TASKBEACON_HOME"):
        os.environ[_NOTED] = home


def developers_home() -> Path:
    """Return the folder that `make client-tools` and `make agents` fill in the same environment."""
    if noted := os.environ.get(_NOTED):
        return Path(noted).absolute()
    from app.config import Settings  # noqa: PLC0415 - most runs of the suite do not ask

    return Settings(development=True).home.absolute()
