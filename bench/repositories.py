"""From the claim of a run to the start of its agent on a large repository: the first run and the second one.

Makes a repository of 200 MB (ten versions of 200 files that do not compress), and performs runs of it in a real
sandbox. Run it with `make bench-repositories`.
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import structlog

from app.agents.catalog import DEFAULT_ADAPTER, load_catalog
from app.agents.confinement import SandboxPolicy
from app.agents.execution import RunSpec, perform
from app.agents.mirrors import Mirrors
from app.agents.sandbox import Sandbox, probe

_VERSIONS: Final = 10
_FILES: Final = 200
_FILE_BYTES: Final = 100 * 1024
_FURTHER_RUNS: Final = 3
_BAR_SECONDS: Final = 1.0


def _make_repository(folder: Path) -> None:
    made = ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)]
    subprocess.run(made, check=True)  # noqa: S603 - git, on a folder of our own
    with subprocess.Popen(
        ["git", "-c", "core.compression=0", "fast-import", "--quiet"],  # noqa: S607
        cwd=folder,
        stdin=subprocess.PIPE,
    ) as importer:
        assert importer.stdin is not None
        write = importer.stdin.write
        for version in range(_VERSIONS):
            write(b"commit refs/heads/main\ncommitter Ada <ada@example.com> %d +0000\n" % (version + 1))
            write(b"data 7\nVersion\n")
            for number in range(_FILES):
                write(b"M 100644 inline folder%d/file%d\n" % (number % 20, number))
                write(b"data %d\n%s\n" % (_FILE_BYTES, os.urandom(_FILE_BYTES)))
    if importer.returncode != 0:
        raise RuntimeError("the repository could not be made")


async def _measure(folder: Path, origin: Path, sandbox: Sandbox, mirrors: Mirrors | None) -> float:
    """Return the seconds from the orders to the start of the agent."""
    began, started = time.perf_counter(), 0.0

    async def emit(entry: dict[str, Any]) -> None:
        nonlocal started
        if not started and entry["notification"]["params"].get("step") == "agent":
            started = time.perf_counter()

    run_id = uuid4()
    spec = RunSpec(
        run_id=run_id,
        adapter=load_catalog().find(DEFAULT_ADAPTER),
        prompt="```say\nhi\n```",
        root=folder / "workspaces",
        push_branch=f"taskbeacon/{run_id}",
        clone_url=origin.as_uri(),
        mirrors=mirrors,
        timeout=timedelta(minutes=10),
        sandbox=sandbox,
        environment=dict(os.environ),
        commit_subject="Bench",
    )
    await perform(spec, emit)
    return started - began


async def _run(folder: Path) -> dict[str, Any]:
    origin = folder / "origin.git"
    await asyncio.to_thread(_make_repository, origin)
    (folder / "workspaces").mkdir()
    sandbox = await probe(SandboxPolicy())
    mirrors = Mirrors(folder / "mirrors", os.environ, max_bytes=2**32)
    without = await _measure(folder, origin, sandbox, None)
    first = await _measure(folder, origin, sandbox, mirrors)
    # The best of some: what else happens on the machine only slows down.
    further = [await _measure(folder, origin, sandbox, mirrors) for _ in range(_FURTHER_RUNS)]
    size = sum(path.stat().st_size for path in origin.rglob("*") if path.is_file())
    return {
        "repository_megabytes": round(size / 1e6),
        "without_mirror_seconds": round(without, 2),
        "first_run_seconds": round(first, 2),
        "further_runs_seconds": [round(seconds, 2) for seconds in further],
        "bar": f"the agent of the second run starts within {_BAR_SECONDS:.0f} s",
        "ok": min(further) < _BAR_SECONDS,
    }


def main() -> int:
    """Measure, print one JSON object, and return an exit status."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as folder:
        result = asyncio.run(_run(Path(folder)))
    print(json.dumps(result, indent=2))  # noqa: T201 - the result
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
