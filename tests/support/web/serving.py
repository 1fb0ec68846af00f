"""An application on a real socket, inside the event loop of a test."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.support.waiting import eventually, next_round


@asynccontextmanager
async def serving(
    application: ASGIApp, protocol: type[asyncio.Protocol] | None = None
) -> AsyncGenerator[str, None]:
    """Serve an application on a free port of this machine and yield its base URL.

    Without `Server.serve`, which sleeps for a tenth of a second before it notices its end and again at it: hundreds of
    tests have a server of their own.
    """
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=0,
        http=protocol or "auto",
        log_level="error",
        lifespan="off",
        ws="none",
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    # Makes the headers of all answers.
    await server.on_tick(0)
    state = server.server_state

    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        for listener in server.servers:
            listener.close()
        for connection in list(state.connections):
            connection.shutdown()
        await next_round()
        await eventually(lambda: not state.connections and not state.tasks)
