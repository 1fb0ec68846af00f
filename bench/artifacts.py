"""How finalising ten files asks the store: at most ten HEADs, side by side and not one after the other.

Each HEAD is made to take as long as in a data center next door, so that the difference shows; forms, uploads and HEADs
are real. Run it with `make bench-artifacts`.
"""

import asyncio
import json
import logging
import statistics
import sys
import time
from dataclasses import replace
from typing import Any, Final

import httpx
import structlog
from typing_extensions import override

from app.clients.object_store import ObjectInfo
from app.clients.s3 import S3Store
from app.config import Settings
from app.db import unit_of_work
from app.main import create_app
from app.runtime import ProcessContext, open_process
from app.services.accounts import accounts, api_keys
from bench.servers import servers
from bench.table import timing

_ITEMS: Final = 10
_ROUNDS: Final = 20
_LATENCY_SECONDS: Final = 0.03


class MeasuredStore(S3Store):
    """A store that counts its HEADs and how many are under way at once."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.heads = 0
        self.most_at_once = 0
        self._under_way = 0

    @override
    async def head(self, key: str) -> ObjectInfo | None:
        self.heads += 1
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            await asyncio.sleep(_LATENCY_SECONDS)
            return await super().head(key)
        finally:
            self._under_way -= 1


async def _account(process: ProcessContext) -> dict[str, str]:
    """Make a project with one member and return the headers of their key."""
    async with unit_of_work(process.sessions) as session:
        organization = await accounts.create_organization(session, "Bench")
        project = await accounts.create_project(session, "Bench", organization_id=organization.id)
        user = await accounts.create_user(session, "bench@example.com", project_ids=[project.id])
        key = await api_keys.create_api_key(session, user_id=user.id, scopes=["*"])
    return {"Authorization": f"Bearer {key.value}"}


async def _uploaded(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """Prepare and upload the files; return the body that finalises them."""
    items = [
        {"name": f"{number}.txt", "type": "user_attachment", "size": 5, "content_type": "text/plain"}
        for number in range(_ITEMS)
    ]
    answer = await client.post(f"{url}/prepare_upload", json={"artifacts": items})
    prepared = answer.raise_for_status().json()["artifacts"]
    async with httpx.AsyncClient() as storage:
        for artifact in prepared:
            form = artifact["presigned_post"]
            sent = await storage.post(form["url"], data=form["fields"], files={"file": b"hello"})
            sent.raise_for_status()
    names = ("id", "name", "type", "storage_path", "content_type")
    return {"artifacts": [{name: artifact[name] for name in names} for artifact in prepared]}


async def _measure(settings: Settings) -> dict[str, Any]:
    async with open_process(settings, name="bench") as process, MeasuredStore(settings) as store:
        headers = await _account(process)
        # Only the store differs from what a server would use.
        measured = replace(process, store=store)
        application = create_app(settings, process=measured)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(application), base_url="http://bench", headers=headers
        ) as client:
            task = await client.post("/api/projects/@current/tasks", json={"title": "Bench"})
            url = f"/api/projects/@current/tasks/{task.raise_for_status().json()['id']}/staged_artifacts"
            body = await _uploaded(client, url)
            seconds = []
            for _ in range(_ROUNDS):
                began = time.perf_counter()
                answer = await client.post(f"{url}/finalize_upload", json=body)
                seconds.append(time.perf_counter() - began)
                answer.raise_for_status()
    return {
        "items": _ITEMS,
        "heads_per_call": store.heads / _ROUNDS,
        "most_heads_at_once": store.most_at_once,
        "head_latency_ms": _LATENCY_SECONDS * 1000,
        "in_series_at_least_ms": _ITEMS * _LATENCY_SECONDS * 1000,
        "median_ms": round(statistics.median(seconds) * 1000, 1),
        "slowest_ms": round(max(seconds) * 1000, 1),
    }


def rows() -> list[tuple[str, ...]]:
    """Measure, and return the lines for the one table of `make bench`."""
    with servers() as settings:
        result = asyncio.run(_measure(settings))
    name = f"finalise {_ITEMS} staged files"
    return timing(name, result["median_ms"], reference=result["head_latency_ms"], referee="one HEAD")


def main() -> None:
    """Measure, print, and fail when a bar is missed."""
    # The access log would be measured too.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with servers() as settings:
        result = asyncio.run(_measure(settings))
    print(json.dumps(result, indent=2))  # noqa: T201 - the result
    holds = (
        result["heads_per_call"] <= _ITEMS
        and 1 < result["most_heads_at_once"] <= _ITEMS
        and result["median_ms"] < result["in_series_at_least_ms"]
    )
    sys.exit(0 if holds else "finalising asks the store in series, or too often")


if __name__ == "__main__":
    main()
