"""From the claim of a run to the start of its agent on a large repository: the first run and the second one.

Makes a repository of 200 MB (ten versions of 200 files that do not compress), and has a real worker perform runs of it
in a real sandbox, without mirrors and with them. Run it with `make bench-repositories`.
"""

import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import httpx
import structlog

from app.config import Settings
from app.enums import TERMINAL_STATUSES, RunStatus
from app.runtime import open_process
from bench.servers import servers
from bench.workers import Account, asked_here, first_events, until, working

_REPOSITORY: Final = "bench/large"
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


class _Starts:
    """Runs of a repository, one after the other, and how soon their agents start."""

    def __init__(self, client: httpx.AsyncClient, account: Account) -> None:
        self._client = client
        self._url = f"/api/projects/{account.project_id}/tasks"

    async def measure(self, count: int, log: Path) -> list[float]:
        """Perform runs and return the seconds from the claim of each to its agent's process."""
        ids = [await self._perform() for _ in range(count)]
        events = first_events(log)
        return [events[run_id, "run.agent_spawned"] - events[run_id, "run.status_changed"] for run_id in ids]

    async def _perform(self) -> str:
        task = await self._client.post(
            self._url, json={"description": "```say\nhi\n```", "repository": _REPOSITORY}
        )
        url = f"{self._url}/{task.raise_for_status().json()['id']}"
        run: dict[str, Any] = (await self._client.post(f"{url}/run")).raise_for_status().json()["latest_run"]

        async def is_over() -> bool:
            nonlocal run
            run = (await self._client.get(url)).raise_for_status().json()["latest_run"]
            return run["status"] in TERMINAL_STATUSES

        await until(is_over)
        if run["status"] != RunStatus.COMPLETED:
            raise RuntimeError(run["error_message"])
        return str(run["id"])


async def _run(settings: Settings, folder: Path) -> dict[str, Any]:
    origin = folder / "code" / _REPOSITORY
    await asyncio.to_thread(_make_repository, origin)
    places = {"TASKBEACON_GIT_BASE_URL": (folder / "code").as_uri()}
    async with open_process(settings, name="bench") as process, asked_here(process) as (client, account):
        starts = _Starts(client, account)
        log = folder / "without.log"
        async with working(settings, log, **places, TASKBEACON_GIT_MIRRORS_MAX_MB="0"):
            [without] = await starts.measure(1, log)
        log = folder / "with.log"
        async with working(settings, log, **places):
            first, *further = await starts.measure(1 + _FURTHER_RUNS, log)
    size = sum(path.stat().st_size for path in origin.rglob("*") if path.is_file())
    return {
        "repository_megabytes": round(size / 1e6),
        "without_mirror_seconds": round(without, 2),
        "first_run_seconds": round(first, 2),
        "further_runs_seconds": [round(seconds, 2) for seconds in further],
        "bar": f"the agent of the second run starts within {_BAR_SECONDS:.0f} s of the claim",
        "ok": max(further[0], statistics.median(further)) < _BAR_SECONDS,
    }


def main() -> int:
    """Measure, print one JSON object, and return an exit status."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with servers() as settings, tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as folder:
        result = asyncio.run(_run(settings, Path(folder)))
    print(json.dumps(result, indent=2))  # noqa: T201 - the result
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
