"""`taskbeacon serve`, as a process. What the API answers is tested elsewhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from app.config import Settings
from tests.support.clients import socket_client
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
        async with socket_client(base_url=base_url) as client:
            answer = await client.get("/livez")
        exit_code = process.stop()

    assert answer.status_code == 200
    assert "server" not in answer.headers
    assert exit_code == 0
    events = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert any(event["event"] == "Application shutdown complete." for event in events)


async def test_processes_of_one_service_share_its_port_and_end_with_it(
    settings: Settings, tmp_path: Path
) -> None:
    with service_process(
        "serve --workers 2 --port 0", settings=settings, log=tmp_path / "api.log"
    ) as process:
        base_url = await address_of(process)

        async def both_listen() -> bool:
            assert process.is_running, process.log.read_text()
            return _listening(int(base_url.rpartition(":")[2])) == 2

        try:
            async with socket_client(base_url=base_url) as client:
                await eventually(both_listen, within_seconds=60)
                answer = await client.get("/livez")
            children = _children(process)
        finally:
            # To kill it would leave the others.
            exit_code = process.stop()

    assert answer.status_code == 200
    assert exit_code == 0
    events = [json.loads(line)["event"] for line in process.log.read_text().splitlines()]
    assert events.count("Application shutdown complete.") == 2
    assert len(children) >= 2

    async def none_left() -> bool:
        return not any(_runs(child) for child in children)

    await eventually(none_left)


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


def _children(process: ServiceProcess) -> list[str]:
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


def _listening(port: int) -> int:
    """Return how many sockets listen on a port of 127.0.0.1."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1] == f"0100007F:{port:04X}" and row[3] == "0A" for row in rows)


def _runs(pid: str) -> bool:
    """Tell whether a process has not ended; one that has, and was not waited for, has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False
