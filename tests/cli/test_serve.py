"""`taskbeacon serve --workers`, as processes. One process alone is tested in tests/e2e, what it answers elsewhere."""

import json
from pathlib import Path

from app.config import Settings
from tests.devstack.launchers import ended, snapshot
from tests.support.deployment.processes import address_of, service_process
from tests.support.waiting import eventually
from tests.support.web.clients import socket_client


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
                await eventually(both_listen)
                answer = await client.get("/nothing")
            family = snapshot([process.pid])
        finally:
            # To kill it would leave the others.
            exit_code = await process.stop()

    assert answer.status_code == 404
    assert exit_code == 0
    events = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert [event["event"] for event in events].count("Application shutdown complete.") == 2
    # Processes that started from nothing log as the first one does.
    (request,) = (event for event in events if event["event"] == "http.request")
    shown = (request["logger"], request["level"], request["path"])
    assert shown == ("app.web.middleware", "info", "/nothing")
    assert len(family) >= 3

    await eventually(lambda: ended(family))


def _listening(port: int) -> int:
    """Return how many sockets listen on a port of 127.0.0.1."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1] == f"0100007F:{port:04X}" and row[3] == "0A" for row in rows)
