"""Checks an output in a process that can be killed: one pattern of a schema can keep Python busy for years."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from app.agents.errors import OutputInvalid
from app.coroutines.shielded import shielded
from app.processes.output import last_lines
from app.processes.own_program import module_command
from app.processes.spawning import PLAIN_ENVIRONMENT

CHECK_SECONDS = 10.0
CHECK_COMMAND = module_command("app.agents.outputs.schema_check", libraries=True)


class QueueFull(Exception):
    """Too many callers of one party, such as a project, have a slot or wait for one, so no other caller may wait."""


class FairSlots:
    """Lets at most `slots` callers in, `share` of a party (a project) at a time; `waiting` more of it may wait."""

    def __init__(self, slots: int, *, share: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._share = share
        self._most = share + waiting
        # For each party with callers that hold a slot or wait: its share, and the number of these callers.
        self._shares: dict[Hashable, asyncio.Semaphore] = {}
        self._counts: dict[Hashable, int] = {}

    @asynccontextmanager
    async def hold(self, party: Hashable) -> AsyncIterator[None]:
        """Wait for a slot of a party, and keep it during the block. Raises QueueFull."""
        count = self._counts.get(party, 0)
        if count >= self._most:
            raise QueueFull
        self._counts[party] = count + 1
        share = self._shares.setdefault(party, asyncio.Semaphore(self._share))
        try:
            # The share first, so that a caller that waits for it does not hold a slot.
            async with share, self._slots:
                yield
        finally:
            self._counts[party] -= 1
            if not self._counts[party]:
                del self._counts[party], self._shares[party]


# Concurrent checks of outputs from clients. Each is a process that can use all of its time limit, so no project
# may take all slots.
SLOTS = FairSlots(4, share=2, waiting=10)


async def check_given(
    output: object, schema: object, *, project_id: int, seconds: float = CHECK_SECONDS
) -> None:
    """Check a client's output in a process that can be killed. Raises OutputInvalid, QueueFull."""
    async with SLOTS.hold(project_id):
        try:
            question = json.dumps([output, schema]).encode()
            # In a thread, because uvloop, the event loop of the API, would fork to start a process. Shielded, so that a
            # caller that is cancelled holds the slot until the process has ended.
            checked = await shielded(asyncio.to_thread(_check, question, seconds))
        except subprocess.TimeoutExpired:
            raise OutputInvalid(
                f"Checking the output against the task's JSON schema took over {seconds:g} s."
            ) from None
    require_answer(checked.returncode, checked.stdout, checked.stderr.decode(errors="replace"))


def require_answer(code: int | None, refusal: bytes, errors: str) -> None:
    """Read what the process has printed and its exit status. Raises OutputInvalid."""
    if code != 0:
        raise OutputInvalid(f"The structured output could not be checked: {last_lines(errors)}")
    if refusal:
        raise OutputInvalid(refusal.decode())


def _check(question: bytes, seconds: float) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(  # noqa: S603 - our own program
        CHECK_COMMAND,
        input=question,
        capture_output=True,
        env=PLAIN_ENVIRONMENT,
        cwd="/",
        timeout=seconds,
        check=False,
    )
