"""`/metrics` is open to clients without a key: its cost must not depend on how often it is requested."""

import asyncio
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector
from typing_extensions import override

from app.api_limits import METRICS_SECONDS
from tests.support.clock import let_time_pass

pytestmark = pytest.mark.walls


class Witness(Collector):
    """Notes on which thread the metrics are collected."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    @override
    def collect(self) -> Iterator[Metric]:
        self.threads.append(threading.current_thread())
        return iter(())


@pytest.fixture
def witness() -> Iterator[Witness]:
    witness = Witness()
    registry: CollectorRegistry = REGISTRY
    registry.register(witness)
    witness.threads.clear()
    yield witness
    registry.unregister(witness)


async def test_concurrent_requests_cost_one_collection(
    anonymous: httpx.AsyncClient, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What an earlier test has collected is too old.
    let_time_pass(monkeypatch, seconds=METRICS_SECONDS)

    answers = await asyncio.gather(*(anonymous.get("/metrics") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(witness.threads) == 1
    assert witness.threads[0] is not threading.main_thread()


async def test_metrics_are_collected_once_a_second_at_most(
    anonymous: httpx.AsyncClient, witness: Witness
) -> None:
    started = time.monotonic()

    for _ in range(20):
        await anonymous.get("/metrics")

    assert len(witness.threads) <= 1 + (time.monotonic() - started)


async def test_methods_that_a_route_lacks_make_no_series(anonymous: httpx.AsyncClient) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        assert (await anonymous.request(method, "/livez")).status_code == 405
    lines = generate_latest().decode().splitlines()
    assert not [line for line in lines if 'route="/livez"' in line and 'method="PUT"' in line]
