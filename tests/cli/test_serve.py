"""`taskbeacon serve`, as a process. What the API answers is tested elsewhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from app.config import Settings
from tests.support.processes import ServiceProcess, service_process
from tests.support.waiting import eventually

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


async def address_of(process: ServiceProcess) -> str:
    """Return the address that a server which chose its own port writes to its log."""

    async def announced() -> bool:
        assert process.is_running, process.log.read_text()
        return _ADDRESS.search(process.log.read_text()) is not None

    await eventually(announced, within_seconds=60)
    match = _ADDRESS.search(process.log.read_text())
    assert match is not None
    return match[0]


async def test_free_port_is_announced_and_stop_is_orderly(settings: Settings, tmp_path: Path) -> None:
    with service_process("serve --port 0", settings=settings, log=tmp_path / "api.log") as process:
        base_url = await address_of(process)
        async with httpx.AsyncClient(base_url=base_url) as client:
            answer = await client.get("/livez")
        exit_code = process.stop()

    assert answer.status_code == 200
    assert "server" not in answer.headers
    assert exit_code == 0
    events = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert any(event["event"] == "Application shutdown complete." for event in events)


def test_process_that_starts_from_nothing_writes_structured_logs(settings: Settings) -> None:
    # What uvicorn does in each process of `--workers`.
    script = """
import structlog
from app.cli.loading import load_api
load_api()
structlog.get_logger("here").info("it.works")
"""

    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TASKBEACON_DATABASE_URL": settings.database_url},
        capture_output=True,
        timeout=60,
        check=True,
    )

    event = json.loads(ended.stderr)
    assert (event["event"], event["logger"], event["level"]) == ("it.works", "here", "info")
