"""Excess over the limits of a run, by every way: never more than twice the limit for longer than a second."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from app.agents.errors import AgentOverLimit
from app.agents.sandbox.resource_usage import ResourceUsage, measure
from tests.agents.conftest import Runner, scripted_adapter
from tests.agents.sandbox.test_resource_usage import MIB, in_terminals, python
from tests.support.waiting import patient

pytestmark = pytest.mark.walls
PROCESSES, MEMORY = 60, 300 * MIB
FORK = ("for _ in range({}):", "    if os.fork() == 0: signal.pause()", "signal.pause()")
HOLD = (
    "for _ in range({}):",
    "    if os.fork() == 0:",
    "        kept = bytearray(os.urandom(2**20)) * 120",
    "        signal.pause()",
    "signal.pause()",
)
# In files that no process maps.
HIDE = (
    "kept = [os.memfd_create('x') for _ in range({})]",
    "for descriptor in kept:",
    "    for _ in range(120): os.write(descriptor, bytes(2**20))",
    "signal.pause()",
)


@dataclass
class Span:
    """The times of the first and the last observation."""

    first: float = 0.0
    last: float = 0.0

    def see(self) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last

    @property
    def seconds(self) -> float:
        return self.last - self.first


@asynccontextmanager
async def over_twice(is_over: Callable[[ResourceUsage, ResourceUsage], bool]) -> AsyncIterator[Span]:
    """Look at all that this process has started, until the body ends: when is it over twice its share?"""
    span, before = Span(), measure([os.getpid()])

    async def look() -> None:
        while True:
            if is_over(await asyncio.to_thread(measure, [os.getpid()]), before):
                span.see()

    looking = asyncio.create_task(look())
    try:
        yield span
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def has_too_many_processes(now: ResourceUsage, before: ResourceUsage) -> bool:
    return now.processes - before.processes > 2 * PROCESSES


def has_too_much_memory(now: ResourceUsage, before: ResourceUsage) -> bool:
    return now.memory_bytes - before.memory_bytes > 2 * MEMORY


KINDS = {"processes": has_too_many_processes, "memory": has_too_much_memory, "files": has_too_much_memory}
BY_AGENT = {"processes": (FORK, 400), "memory": (HOLD, 12), "files": (HIDE, 12)}
BY_TERMINALS = {"memory": (HOLD, 2)}


def program(kind: tuple[tuple[str, ...], int]) -> tuple[str, ...]:
    lines, count = kind
    return tuple(line.format(count) for line in lines)


async def by_agent(runner: Runner, kind: str) -> None:
    outcome = await runner.run(python(kind, "import os, signal", *program(BY_AGENT[kind])))
    assert isinstance(outcome.failed, AgentOverLimit), outcome.failed


async def by_terminals(runner: Runner, kind: str) -> None:
    prompt = in_terminals(6, *program(BY_TERMINALS[kind]))
    outcome = await runner.run(prompt, adapter=scripted_adapter("requests"))
    assert isinstance(outcome.failed, AgentOverLimit), outcome.failed


async def while_gathering(runner: Runner, kind: str) -> None:
    lines = "\n".join(("import os, signal", *program(BY_AGENT[kind])))
    outcome = await runner.run(python(kind, "open('f', 'w').write('x')"), gather=f'python3 -c "{lines}"')
    assert isinstance(outcome.failed, AgentOverLimit), outcome.failed


@pytest.mark.parametrize(
    ("way", "kind"),
    [*((by_agent, kind) for kind in KINDS), (by_terminals, "memory"), (while_gathering, "processes")],
)
async def test_run_is_over_twice_its_share_for_seconds_at_most(
    runner: Runner, way: object, kind: str
) -> None:
    """A run was over its limit for 25 to 167 seconds, and until its end; now it is for a second on an idle machine."""
    assert callable(way)
    policy = replace(runner.context.sandbox.policy, memory_bytes=MEMORY, processes=PROCESSES)
    runner.context = replace(
        runner.context,
        sandbox=replace(runner.context.sandbox, policy=policy),
        limits=replace(runner.context.limits, timeout=timedelta(seconds=600)),
    )
    async with over_twice(KINDS[kind]) as span:
        await way(runner, kind)

    assert span.seconds < patient(30)
