"""Runs steps beside the turns of a conversation, and waits between its turns."""

import asyncio
from collections.abc import Awaitable, Callable

Step = Callable[[], Awaitable[None]]


class BackgroundSteps:
    """Steps beside the turns of one conversation. An unexpected exception of one is kept as `fault`."""

    def __init__(self, on_fault: Callable[[], None]) -> None:
        """Prepare; `on_fault` ends the run: one that cannot be steered or stopped must not continue."""
        self.fault: Exception | None = None
        self._on_fault = on_fault
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, step: Step) -> None:
        """Run a step in a task, until it returns or `stop` is called."""
        task = asyncio.create_task(self.run(step))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, step: Step) -> None:
        """Run a step, and return when it has ended. Raises nothing but CancelledError."""
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - raised again where the run's end is explained
            self.fault = self.fault or error
            self._on_fault()

    async def stop(self) -> None:
        """Cancel the steps that were started, and wait until they have ended."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_unless_failed(event: asyncio.Event, step: Step, seconds: float) -> bool:
    """Wait for an event, at most `seconds`. `step` runs meanwhile; its error is raised here."""
    woken, failing = asyncio.create_task(event.wait()), asyncio.ensure_future(step())
    try:
        done, _ = await asyncio.wait({woken, failing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if failing in done:
            await failing
        return woken in done
    finally:
        woken.cancel()
        failing.cancel()
        await asyncio.gather(woken, failing, return_exceptions=True)
