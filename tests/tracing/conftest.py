"""A collector, and this process sending its spans there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack

import pytest

from app.tracing.standard_variables import tracing
from tests.support.stand_ins.collector import Collector, collecting


@pytest.fixture
async def collector() -> AsyncGenerator[Collector, None]:
    async with collecting() as collector:
        yield collector


@pytest.fixture
async def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Collector, None]:
    for name, value in collector.variables.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        stack.enter_context(tracing("taskbeacon-tests"))
        yield collector
        # Beside the event loop, in which the collector takes what is left.
        await asyncio.to_thread(stack.close)
