"""Expo's push service with 20 ms to think, in a process of its own: `python -m bench.slow_expo PORT`.

Takes everything; `GET /` returns how many messages it took and how many devices they were for.
"""

import asyncio
import gzip
import sys
from typing import Final

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LATENCY_SECONDS: Final = 0.02


def create_app() -> Starlette:
    """Return the application that stands in for Expo's push service, with no messages received yet."""
    taken: list[str] = []

    async def send(request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        messages = orjson.loads(body)
        await asyncio.sleep(LATENCY_SECONDS)
        first = len(taken)
        taken.extend(message["to"] for message in messages)
        tickets = [{"status": "ok", "id": str(first + number)} for number in range(len(messages))]
        return Response(orjson.dumps({"data": tickets}), media_type="application/json")

    async def count(_: Request) -> Response:
        return Response(orjson.dumps({"messages": len(taken), "devices": len(set(taken))}))

    return Starlette(
        routes=[Route("/--/api/v2/push/send", send, methods=["POST"]), Route("/", count, methods=["GET"])]
    )


if __name__ == "__main__":
    uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
