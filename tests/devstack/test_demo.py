"""`taskbeacon demo`: the main job on this very checkout."""

import os
import re
import signal
import tempfile
from pathlib import Path

import pytest

from tests.devstack.launchers import clean_environment, launcher, wait_for

pytestmark = pytest.mark.timeout(600)


def test_demo_shows_the_main_job_and_leaves_nothing(tmp_path: Path) -> None:
    output, temporary = tmp_path / "output", tmp_path / "tmp"
    temporary.mkdir()
    # A developer's own database must not be touched.
    environment = clean_environment(
        TMPDIR=str(temporary), TASKBEACON_DATABASE_URL="postgresql://127.0.0.1:1/no"
    )

    with launcher("-m", "app.cli", "demo", output=output, environment=environment) as process:
        status = process.wait(500)

    shown = output.read_text()
    assert status == 0, shown
    assert "Result: completed" in shown
    assert "+++ b/docs/module-map.md" in shown
    branch = re.search(r'"head_branch": "(taskbeacon/[^"]+)"', shown)
    assert branch is not None
    assert f"Pushed branch {branch[1]}" in shown
    assert re.search(r"docs/module-map\.md +\| +\d+ \+", shown)
    asked = shown.index('the agent asks, and a push arrives: "May others read this map?"')
    assert 'answered "Allow" through the link of the push, without a key' in shown[asked:]
    assert not list(temporary.iterdir())
    assert tempfile.gettempdir() != str(temporary)


def test_killed_demo_leaves_no_folder(tmp_path: Path) -> None:
    """The process that works removed its folder itself, and left it when it was killed."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = clean_environment(TMPDIR=str(temporary))

    with launcher("-m", "app.cli", "demo", output=tmp_path / "output", environment=environment) as process:
        wait_for(lambda: list(temporary.glob("*/git")), seconds=60, what="the folder of the demo")
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        status = process.wait(60)

    assert status == 128 + signal.SIGKILL
    assert not list(temporary.iterdir())
