"""A collector, and this process sending its spans there."""

from collections.abc import AsyncGenerator, Generator

import pytest

from app.tracing.standard_variables import tracing
from tests.support.stand_ins.collector import Collector, collecting


@pytest.fixture
async def collector() -> AsyncGenerator[Collector, None]:
    async with collecting() as collector:
        yield collector


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Generator[Collector, None, None]:
    for name, value in collector.variables.items():
        monkeypatch.setenv(name, value)
    with tracing("taskbeacon-tests"):
        yield collector
