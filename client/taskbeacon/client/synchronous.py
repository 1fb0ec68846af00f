"""The synchronous client: performs the steps of the core over httpx."""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from typing import Any, Self, TypeVar

import httpx

from taskbeacon.client.errors import ConnectionFailed
from taskbeacon.client.steps import Answer, Flow, Items, Open, Pause, Read, Request, Send, Step, Yield
from taskbeacon.client.transport import Body, ClientBase, answer_of, failures, resume

T = TypeVar("T")


class Client(ClientBase[httpx.Client]):
    __doc__ = ClientBase.__doc__
    _http_class = httpx.Client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def perform(self, flow: Flow[T]) -> T:
        """Perform an operation of `core`."""
        with closing(flow), ExitStack() as opened:
            value: T = self._advance(flow, opened).value
            return value

    def iterate(self, items: Items[T]) -> Generator[T, None, None]:
        """Yield the items of an operation of `core`."""
        with closing(items), ExitStack() as opened:
            while isinstance(item := self._advance(items, opened), Yield):
                yield item.value

    def _advance(self, flow: Flow[Any] | Items[Any], opened: ExitStack) -> Yield[Any] | StopIteration:
        outcome: Any = None
        while not isinstance(step := resume(flow, outcome), Yield | StopIteration):
            try:
                outcome = self._do(step, opened)
            except ConnectionFailed as error:
                outcome = error
        return step

    def _do(self, step: Step, opened: ExitStack) -> Any:
        match step:
            case Send(request):
                return self._send(request)
            case Open(request):
                return self._open(request, opened)
            case Read(body):
                with failures(body.response.url):
                    return next(body.pieces, b"")
            case Pause(seconds):
                time.sleep(seconds)
        return None

    def _send(self, request: Request) -> Answer:
        with failures(request.url), ExitStack() as opened:
            http, more = self._http, {}
            if request.file is not None:
                # The store is another server.
                http = opened.enter_context(self._new_http(request.url))
                more["files"] = {"file": opened.enter_context(request.file.open("rb"))}
            response = http.send(self._built(request, **more))
            return answer_of(response, response.content)

    def _open(self, request: Request, opened: ExitStack) -> tuple[Answer, Body[Iterator[bytes]]]:
        with failures(request.url):
            opened.close()
            response = self._http.send(self._built(request), stream=True)
            opened.callback(response.close)
            body = b"" if response.is_success else response.read()
            return answer_of(response, body), Body(response, response.iter_bytes())
