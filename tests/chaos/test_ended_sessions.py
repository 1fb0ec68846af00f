"""Sessions of the database end all the time, while runs go on and clients ask."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.clients.storage.object_store import ObjectStore
from app.ids import new_hex_id
from tests.support.deployment.ledger import take_stock, wait_for_pushes
from tests.support.deployment.site import Site, work
from tests.support.stand_ins.push import PushService
from tests.support.waiting import eventually

CLIENTS, RUNS_EACH = 4, 10
# Between two rounds of ended sessions the API answers so many requests.
ANSWERS_BETWEEN = 10
TRIES = 100
END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('taskbeacon-api', 'taskbeacon-worker')
"""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


class Load:
    """Clients that repeat what was answered with 503, and all that they were answered."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self._api = api
        self.answers: Counter[int] = Counter()
        self.accepted: list[str] = []

    async def start_runs(self) -> None:
        for number in range(RUNS_EACH):
            task = await self._ask("POST", "/", json={"title": f"Task {number}", "description": work()})
            url = f"/{task['id']}"
            run = (await self._ask("POST", f"{url}/run/"))["latest_run"]
            self.accepted.append(run["id"])
            await self._ask("PATCH", f"{url}/", json={"title": f"Task {number}, changed"})
            await self._ask("GET", "/")
            await self._ask("GET", f"{url}/runs/{run['id']}/")

    async def _ask(self, method: str, url: str, **options: Any) -> Any:
        headers = {"Idempotency-Key": new_hex_id()} if method == "POST" else {}
        for _ in range(TRIES):
            answer = await self._api.request(method, url, headers=headers, **options)
            self.answers[answer.status_code] += 1
            if answer.status_code != 503:
                assert answer.status_code < 300, answer.text
                return answer.json()
        raise AssertionError(f"{method} {url} was never answered")


async def test_ended_sessions_cost_no_answer_but_503_and_no_run(
    site: Site, store: ObjectStore, push_service: PushService
) -> None:
    worker = site.start_worker(TASKBEACON_WORKER_CONCURRENCY="4")
    await site.wait_until_logged(worker, "worker.started")
    server = await asyncpg.connect(site.settings.database_url.replace("+asyncpg", ""))
    async with site.api() as api:
        load, rounds = Load(api), 0
        working = asyncio.gather(*(load.start_runs() for _ in range(CLIENTS)))

        async def end_sessions() -> None:
            nonlocal rounds
            while not working.done():
                seen = load.answers.total()

                async def has_answered(seen: int = seen) -> bool:
                    return working.done() or load.answers.total() >= seen + ANSWERS_BETWEEN

                await eventually(has_answered, within_seconds=120)
                await server.execute(END_SESSIONS)
                rounds += 1

        await end_sessions()
        await working
        count = CLIENTS * RUNS_EACH
        await site.wait_until_over(count)
        await wait_for_pushes(push_service, count)
    await server.close()
    assert await worker.stop() == 0

    ledger = await take_stock(
        site, store, accepted=[UUID(run_id) for run_id in load.accepted], pushes=push_service
    )
    ledger.require_balance()
    assert ledger.statuses == {"completed": count}
    assert set(load.answers) <= {200, 201, 503}, load.answers
    assert rounds > RUNS_EACH
