"""The same tests once more without root's privileges, where the suite runs as root.

Where it runs as an ordinary user, every other test of this folder is that test.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
UNPRIVILEGED = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
# Where the sample is: to load the other modules takes longer than to run it.
MODULES = (
    *("agents/sandbox/test_escapes", "agents/sandbox/test_confinement", "agents/sandbox/test_limits"),
    *("agents/execution/test_perform", "agents/workspace/test_hostile_workspace"),
    *("sandbox/test_one_way_in", "sandbox/test_attempts"),
)
SAMPLE = (
    "test_work_arrives_on_a_new_branch or test_own_places_are_writable or test_loopback_is_reached_only "
    "or test_leftovers_end_with_the_command or test_files_that_cannot_be_read_are_reported or test_no_program_regains "
    "or test_attempts_are_sound or test_attempts_succeed or test_escapes_are_refused or test_links_out_of_the_workspace "
    "or test_what_is_left or test_endless_output or test_process_bomb or test_memory_that_many "
    "or test_terminals_count or test_files_that_are_sent or test_what_waits_in or test_buffers_of_sockets "
    "or test_filter_of_a_nested or test_sandbox_stops_every or test_variables_of_a_stranger or test_agent_itself_has "
    "or test_files_of_a_workspace"
)
COUNT = 48


def can_drop_privileges() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNPRIVILEGED, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_drop_privileges(), reason="not root, or no user namespaces: nothing to drop")
@pytest.mark.timeout(900)  # many tests in one
async def test_sandbox_and_runs_work_without_root(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *UNPRIVILEGED,
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-k", SAMPLE),
        # Cut off from the suite's servers: not needed, and PostgreSQL would want to know the user by name.
        *(f"--basetemp={tmp_path / 'inner'}", f"--confcutdir={HERE}"),
        *(f"{HERE.parent / module}.py" for module in MODULES),
        cwd=HERE.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()
    assert f"{COUNT} passed".encode() in output, output.decode()
