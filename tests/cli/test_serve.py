"""`taskbeacon serve --workers`, as processes. One process alone is tested in tests/e2e, what it answers elsewhere."""

import json
from pathlib import Path

from app.config import Settings
from tests.support.clients import socket_client
from tests.support.processes import ServiceProcess, address_of, service_process
from tests.support.waiting import eventually


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
                answer = await client.get("/nothing")
            children = _children(process)
        finally:
            # To kill it would leave the others.
            exit_code = process.stop()

    assert answer.status_code == 404
    assert exit_code == 0
    events = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert [event["event"] for event in events].count("Application shutdown complete.") == 2
    # Those that started from nothing log as the first one was told to.
    (request,) = (event for event in events if event["event"] == "http.request")
    assert (request["logger"], request["level"], request["path"]) == (
        "app.web.middleware",
        "info",
        "/nothing",
    )
    assert len(children) >= 2

    await eventually(lambda: not any(_runs(child) for child in children))


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
