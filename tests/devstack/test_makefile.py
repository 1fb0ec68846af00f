"""The port that `make run` passes on."""

import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "variables", "port"),
    [
        ([], {}, "8000"),
        ([], {"TASKBEACON_PORT": "9000"}, "9000"),
        (["PORT=0"], {}, "0"),
        (["PORT=9001"], {"TASKBEACON_PORT": "9000"}, "9001"),
        ([], {"PORT": "9002"}, "9002"),
    ],
)
def test_make_run_hands_on_the_port(arguments: list[str], variables: dict[str, str], port: str) -> None:
    """Without any it stopped: the variable asked for itself."""
    environment = {"PATH": os.environ["PATH"], **variables}
    show = "PYTHON=sh -c 'echo $$TASKBEACON_PORT'"

    done = subprocess.run(
        ["make", "--silent", "--old-file=.venv/.installed", "run", show, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, port, "")
