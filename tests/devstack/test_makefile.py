"""What the Makefile passes on, and what it needs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.devstack.launchers import clean_environment

PROJECT = Path(__file__).resolve().parents[2]
# What any system has, beside what `make` needs.
PROGRAMS = (
    "python3", "git", "make", "sh", "bash", "awk", "basename", "cat", "chmod", "cp", "cut", "date",
    "dirname", "env", "expr", "false", "find", "grep", "gzip", "head", "id", "ln", "ls", "mkdir", "mktemp",
    "mv", "printf", "rm", "sed", "setpriv", "sleep", "sort", "tail", "tar", "test", "touch", "tr", "true", "uname",
    "wc",
)  # fmt: skip
# Tests that need a program of the machine, and the reason of those that cannot run without it.
NEEDY = {
    "tests/db/test_pooler.py": "pgbouncer is not installed",
    "tests/e2e/test_swagger.py": "neither Chromium nor its driver is installed",
}


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


@pytest.mark.timeout(600)  # loads the suite once more
def test_what_the_machine_lacks_is_skipped_with_its_reason(tmp_path: Path) -> None:
    for name in PROGRAMS:
        (tmp_path / name).symlink_to(shutil.which(name) or f"/no/{name}")
    # With the servers of this suite: to start others takes longer than these tests.
    servers = {
        name.replace("TASKBEACON_", "TASKBEACON_TEST_"): value
        for name, value in os.environ.items()
        if name.startswith(("TASKBEACON_DATABASE_", "TASKBEACON_REDIS_", "TASKBEACON_S3_"))
    }
    environment = clean_environment(PATH=str(tmp_path), **servers)
    environment.pop("CI", None)
    arguments = f"{' '.join(NEEDY)} -p no:cacheprovider --basetemp={tmp_path / 'inner'}"

    done = subprocess.run(
        ["make", "--silent", "--old-file=.venv/.installed", "test", "TEST_PROCESSES=0", f"ARGS={arguments}"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    skipped = re.findall(r"^SKIPPED \[\d+\] (\S+?):\d+: (.*)$", done.stdout, re.MULTILINE)
    for test, reason in NEEDY.items():
        assert any(place == test.partition("::")[0] and text.startswith(reason) for place, text in skipped)
