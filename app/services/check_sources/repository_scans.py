"""Ask for the checks that a repository suggests. A job finds them; Redis keeps them a minute (contract 18.1).

A scan that gets lost is made again: the client asks until there is one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from pydantic import TypeAdapter

from app.clients.expiring_values import find_value, keep_value
from app.clients.job_queue import JobQueue
from app.clients.redis import RedisClient
from app.clock import wire_time
from app.errors import StateRefused
from app.json_types import JsonDict
from app.schemas.checks.check_sets import FoundCheckOut, ScanningOut, ScanOut
from app.services.access.principal import Principal
from app.services.enqueueing import enqueue_scan
from app.verdicts.definitions import Check, FoundCheck

_KEPT_SECONDS = 60
_CHECK = TypeAdapter(Check)


async def detect(
    caller: Principal, repository: str, *, redis: RedisClient, queue: JobQueue
) -> tuple[ScanOut | ScanningOut, bool]:
    """Return the scan of a repository, and whether there is one; if not, a job makes it. Raises StateRefused."""
    project_id = caller.project.id
    kept = await find_value(redis, _key(project_id, repository))
    if kept is None:
        await enqueue_scan(queue, project_id, repository)
        return {"repository": repository, "status": "scanning"}, False
    scan: Any = orjson.loads(kept)
    if "error" in scan:
        raise StateRefused(scan["error"])
    return scan, True


def show_found(found: FoundCheck) -> FoundCheckOut:
    return {
        "check": _CHECK.dump_python(found.check, mode="json"),
        "origin": {"path": found.path, "key": found.key},
    }


def show_scan(repository: str, commit: str | None, found: Iterable[FoundCheck]) -> JsonDict:
    shown = [show_found(each) for each in found]
    return {"repository": repository, "commit": commit, "scanned_at": wire_time(), "found": shown}


async def keep_scan(redis: RedisClient, project_id: int, repository: str, scan: Mapping[str, object]) -> None:
    """Keep a scan as it is shown, or the `error` that has ended it."""
    await keep_value(redis, _key(project_id, repository), orjson.dumps(scan), seconds=_KEPT_SECONDS)


def _key(project_id: int, repository: str) -> str:
    return f"taskbeacon:scan:{project_id}:{repository}"
