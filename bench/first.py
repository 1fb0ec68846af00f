"""Measure lists that no process has cached: the first after a change, which looks the page and the count up."""

import statistics
import time
from typing import Final

import httpx
import orjson

from bench.cases import Case, changes
from bench.data import Account, ProjectOfSize
from bench.table import timing

_LOOKS: Final = 5
_SECONDS: Final = 60.0


async def first_look(
    port: int, account: Account, project: ProjectOfSize, case: Case
) -> list[tuple[str, ...]]:
    """Change a task and read the list, five times over one connection; return the row of the median."""
    change, wire = next(changes(account, project)), next(case.requests(account, project))
    taken = []
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": account.authorization},
        timeout=_SECONDS,
    ) as client:
        for number in range(_LOOKS):
            changed = {"title": f"{orjson.loads(change.body)['title']} {number}"}
            (await client.patch(change.path, json=changed)).raise_for_status()
            began = time.perf_counter()
            (await client.get(wire.path)).raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
    return timing(f"{case.name}, first ({project.size:,})", statistics.median(taken))
