"""`taskbeacon demo`: the main job on this very checkout."""

import re
import tempfile
from pathlib import Path

import pytest

from tests.devstack.launchers import clean_environment, launcher

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
    branch = re.search(r"head branch: (taskbeacon/\S+)", shown)
    assert branch is not None
    assert f"Pushed branch {branch[1]}" in shown
    assert re.search(r"docs/module-map\.md +\| +\d+ \+", shown)
    asked = shown.index('the agent asks, and a push arrives: "May others read this map?"')
    assert 'answered "Allow" through the link of the push, without a key' in shown[asked:]
    assert not list(temporary.iterdir())
    assert tempfile.gettempdir() != str(temporary)
