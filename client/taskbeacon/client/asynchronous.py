"""The asynchronous client: performs the steps of the core over httpx."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, closing
from typing import Any, Self, TypeVar

import httpx

from taskbeacon.client.errors import ConnectionFailed
from taskbeacon.client.steps import Answer, Flow, Items, Open, Pause, Read, Request, Send, Step, Yield
from taskbeacon.client.transport import Body, ClientBase, answer_of, failures, resume

T = TypeVar("T")


class AsyncClient(ClientBase[httpx.AsyncClient]):
    __doc__ = ClientBase.__doc__
    _http_class = httpx.AsyncClient

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def perform(self, flow: Flow[T]) -> T:
        """Perform an operation of `core`."""
        with closing(flow):
            async with AsyncExitStack() as opened:
                value: T = (await self._advance(flow, opened)).value
                return value

    async def iterate(self, items: Items[T]) -> AsyncGenerator[T, None]:
        """Yield the items of an operation of `core`."""
        with closing(items):
            async with AsyncExitStack() as opened:
                while isinstance(item := await self._advance(items, opened), Yield):
                    yield item.value

    async def _advance(
        self, flow: Flow[Any] | Items[Any], opened: AsyncExitStack
    ) -> Yield[Any] | StopIteration:
        outcome: Any = None
        while not isinstance(step := resume(flow, outcome), Yield | StopIteration):
            try:
                outcome = await self._do(step, opened)
            except ConnectionFailed as error:
                outcome = error
        return step

    async def _do(self, step: Step, opened: AsyncExitStack) -> Any:
        match step:
            case Send(request):
                return await self._send(request)
            case Open(request):
                return await self._open(request, opened)
            case Read(body):
                with failures(body.response.url):
                    return await anext(body.pieces, b"")
            case Pause(seconds):
                await asyncio.sleep(seconds)
        return None

    async def _send(self, request: Request) -> Answer:
        async with AsyncExitStack() as opened:
            opened.enter_context(failures(request.url))
            http, more = self._http, {}
            if request.file is not None:
                # The store is another server.
                http = await opened.enter_async_context(self._new_http(request.url))
                more["files"] = {"file": opened.enter_context(request.file.open("rb"))}
            response = await http.send(self._built(request, **more))
            return answer_of(response, response.content)

    async def _open(
        self, request: Request, opened: AsyncExitStack
    ) -> tuple[Answer, Body[AsyncIterator[bytes]]]:
        with failures(request.url):
            await opened.aclose()
            response = await self._http.send(self._built(request), stream=True)
            body = Body(response, response.aiter_bytes())
            opened.push_async_callback(_close, body)
            return answer_of(response, b"" if response.is_success else await response.aread()), body


async def _close(body: Body[AsyncIterator[bytes]]) -> None:
    if isinstance(body.pieces, AsyncGenerator):
        await body.pieces.aclose()
    await body.response.aclose()
