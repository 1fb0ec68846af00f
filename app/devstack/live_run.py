"""A task and its run, as the demo and `taskbeacon try` show them: the steps, then the results."""

from collections.abc import Awaitable, Callable
from typing import Any

from app.devstack.terminal import TerminalOutput
from taskbeacon.cli import output
from taskbeacon.cli.live import Transcript, show_result
from taskbeacon.client import AsyncClient, End, Event, Waiting
from taskbeacon.client.types import Run, Task

_SHOWN_PATCH_LINES = 30


async def create_task(client: AsyncClient, terminal: TerminalOutput, **fields: str) -> Task:
    """Create a task; print its title and the URL of its page in the console."""
    values: Any = fields
    task = await client.tasks.create(**values)
    terminal.title(f"Task {task['slug']}: {task['title']}")
    settings = client.settings
    page = f"{settings.url}/console/projects/{settings.project}/tasks/{task['id']}"
    terminal.styled_line(f"  {page}", "dim")
    return task


async def follow_run(
    client: AsyncClient,
    terminal: TerminalOutput,
    run: Run,
    answer: Callable[[Waiting], Awaitable[object]] | None = None,
) -> Run:
    """Print the steps and results of a run, and return it; call `answer` when it waits for a person."""
    terminal.title(f"Run {run['id']}")
    transcript = Transcript()
    async for item in client.runs.follow(run):
        if isinstance(item, Event):
            transcript.show(item.data)
        elif isinstance(item, Waiting) and answer is not None:
            await answer(item)
        elif isinstance(item, End):
            run = item.run
    terminal.line()
    show_result(run)
    if lines := (await client.runs.patch(run)).splitlines(keepends=True):
        terminal.line()
        terminal.title("Patch")
        output.patch(b"".join(lines[:_SHOWN_PATCH_LINES]))
        if len(lines) > _SHOWN_PATCH_LINES:
            terminal.styled_line(f"… {len(lines) - _SHOWN_PATCH_LINES} more lines", "dim")
    return run
