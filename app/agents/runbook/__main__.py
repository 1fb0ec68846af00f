"""`python -m app.agents.runbook`: the runbook agent on standard input and output."""

import asyncio
import sys

from app.agents.runbook.agent import RunbookAgent
from app.agents.runbook.line import LINE_LIMIT, Line


async def _main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    # The protocol of the other direction only serves to wait until the client has read.
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), sys.stdout
    )
    line = Line(reader, asyncio.StreamWriter(transport, protocol, None, loop))
    await line.serve(RunbookAgent(line).methods)


if __name__ == "__main__":
    asyncio.run(_main())
