"""The cost of open consoles for requests to the same API: with fifty in the project and with none, in turns.

A console holds one stream, which each change of a task goes out on. The bar is a tenth of the latency.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

from bench.cases import CASES
from bench.data import Account, ProjectOfSize
from bench.load import Cost, Wire
from bench.table import row

_CONSOLES: Final = 50
_CASES: Final = frozenset({"retrieve", "list", "create", "update", "presence"})

Send = Callable[[Iterator[Wire]], Awaitable[Cost]]


async def rows(
    port: int, account: Account, project: ProjectOfSize, send: Send, *, rounds: int
) -> list[tuple[str, ...]]:
    """Measure requests with and without open consoles in the project; return rows of the table.

    `send` sends requests for one round and returns their cost.
    """
    lines: list[tuple[str, ...]] = []
    for case in CASES:
        if case.name not in _CASES:
            continue
        requests = case.requests(account, project)
        none, many = Cost(), Cost()
        await send(requests)
        for _ in range(rounds):
            none.add(await send(requests))
            async with _consoles(port, account, project):
                many.add(await send(requests))
        lines += [
            row(case.name, f"{_CONSOLES} consoles", many, statements=None, raw=none),
            row(case.name, "no console", none, statements=None, raw=None),
            (
                f"{case.name}: p50 to none",
                "",
                "",
                f"{many.quantile_ms(0.5) / none.quantile_ms(0.5):.2f}",
                *[""] * 5,
            ),
        ]
    return lines


@asynccontextmanager
async def _consoles(port: int, account: Account, project: ProjectOfSize) -> AsyncIterator[None]:
    """Keep consoles open, in a process of their own."""
    command = ("-m", "bench.consoles.streams", str(port), str(project.id), str(_CONSOLES))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(account.authorization.removeprefix("Bearer ").encode() + b"\n")
    if await process.stdout.readline() != b"open\n":
        raise RuntimeError("the consoles could not be opened")
    yield
    process.stdin.close()
    if await process.wait():
        raise RuntimeError("streams of consoles ended")
