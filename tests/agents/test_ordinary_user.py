"""The walls once more without root's privileges, where the suite runs as root.

Where it runs as an ordinary user, every other test of this folder is that test.
"""

import ast
import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
UNPRIVILEGED = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
# What differs for an ordinary user: the sandbox, what the kernel shows and limits, and what of an agent's files may not
# be read or removed; and one whole run. Without a sandbox there are no walls.
WALLS = (
    "sandbox/test_attempts.py",
    "sandbox/test_one_way_in.py",
    "agents/sandbox/test_escapes.py",
    "agents/sandbox/test_confinement.py",
    "agents/sandbox/test_confined_process.py",
    "agents/sandbox/test_policy.py",
    "agents/sandbox/test_probing.py",
    "agents/sandbox/test_launcher.py",
    "agents/network/test_network_access.py::test_full_before_linux_6_12_is_not_for_a_worker_that_is_root",
    "agents/execution/test_run_steps.py::test_work_arrives_on_a_new_branch",
)
LIMITS_AND_FILES = (
    "agents/sandbox/test_resource_usage.py",
    "agents/execution/test_collection_step.py",
    "agents/workspace/test_run_workspace.py",
)
PARTS = (*WALLS, *LIMITS_AND_FILES)
IN_A_SANDBOX = "(not none or landlock or bubblewrap)"
OF_A_USER = (
    "(hidden-landlock or not landlock and (bomb or twice_its or no_process or mapped or deleted or deeper "
    "or sets_of or while_the or traps or filter or unreadable or cannot_be_read or never_ends or pipes))"
)
# In one process, because loading the suite takes seconds of processor time.
LIMITING = f"({' or '.join(Path(part).stem for part in LIMITS_AND_FILES)})"
CHOSEN = f"not {LIMITING} and {IN_A_SANDBOX} or {LIMITING} and {OF_A_USER}"
SKIPPED = re.compile(r"^SKIPPED \[\d+\] \S+ (.*)$", re.MULTILINE)


def can_drop_privileges() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNPRIVILEGED, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.walls
@pytest.mark.skipif(not can_drop_privileges(), reason="not root, or no user namespaces: nothing to drop")
@pytest.mark.timeout(900)  # many tests in one
async def test_walls_hold_without_root(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *UNPRIVILEGED,
        *(sys.executable, "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", "-p", "no:randomly"),
        # Cut off from the suite's servers: not needed, and PostgreSQL would want to know the user by name.
        *(f"--basetemp={tmp_path / 'inner'}", f"--confcutdir={HERE}"),
        *("-k", CHOSEN, *(f"{HERE.parent / part}" for part in PARTS)),
        cwd=HERE.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    said = output.decode()

    assert process.returncode == 0, said
    # A sandbox that does not work without root would skip its tests.
    assert [reason for reason in SKIPPED.findall(said) if "root" not in reason and "user" not in reason] == []


def test_parts_exist() -> None:
    # In every suite: the test above is left out where the walls are.
    named = [part.partition("::") for part in PARTS]
    gone = [
        path + colons + name
        for path, colons, name in named
        if not (file := HERE.parent / path).is_file() or (name and name not in _functions(file))
    ]

    assert gone == []


def _functions(file: Path) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, functions)}
