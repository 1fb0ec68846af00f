"""The synchronous client: performs the steps of the core over httpx."""

import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from taskbeacon.client.core import Core
from taskbeacon.client.errors import ConnectionFailed
from taskbeacon.client.parts import Artifacts, Events, Questions, Runs, Tasks, Webhooks
from taskbeacon.client.settings import Settings, find_settings
from taskbeacon.client.steps import Answer, Close, Flow, Items, Open, Pause, Read, Request, Send, Step, Yield
from taskbeacon.client.transport import answer_of, arguments_of, failures, options_of

T = TypeVar("T")


class _Transport:
    """Performs steps, and the generators of the core with them."""

    def __init__(self, settings: Settings, timeout: float) -> None:
        self._timeout = timeout
        self._http = httpx.Client(**options_of(settings.url, timeout))

    def close(self) -> None:
        self._http.close()

    def perform(self, flow: Flow[T]) -> T:
        with ExitStack() as opened:
            opened.callback(flow.close)
            outcome: Any = None
            failure: ConnectionFailed | None = None
            while True:
                try:
                    step = flow.send(outcome) if failure is None else flow.throw(failure)
                except StopIteration as stop:
                    value: T = stop.value
                    return value
                outcome, failure = self._outcome(step, opened)

    def iterate(self, items: Items[T]) -> Generator[T, None, None]:
        with ExitStack() as opened:
            opened.callback(items.close)
            outcome: Any = None
            failure: ConnectionFailed | None = None
            while True:
                try:
                    step = items.send(outcome) if failure is None else items.throw(failure)
                except StopIteration:
                    return
                if isinstance(step, Yield):
                    outcome = failure = None
                    yield step.value
                else:
                    outcome, failure = self._outcome(step, opened)

    def _outcome(self, step: Step, opened: ExitStack) -> tuple[Any, ConnectionFailed | None]:
        try:
            return self._do(step, opened), None
        except ConnectionFailed as failure:
            return None, failure

    def _do(self, step: Step, opened: ExitStack) -> Any:
        match step:
            case Send(request):
                return self._send(request)
            case Open(request):
                return self._open(request, opened)
            case Read(body):
                with failures(body.url):
                    return next(body.pieces, b"")
            case Close(body):
                body.close()
            case Pause(seconds):
                time.sleep(seconds)
        return None

    def _send(self, request: Request) -> Answer:
        with failures(request.url):
            if request.file is not None:
                return self._upload(request, request.file)
            built = self._http.build_request(**arguments_of(request, self._timeout))
            response = self._http.send(built)
            return answer_of(response, response.content)

    def _upload(self, request: Request, path: Path) -> Answer:
        # The store is another server.
        with httpx.Client(**options_of(request.url, self._timeout)) as http:
            with path.open("rb") as file:
                built = http.build_request(**arguments_of(request, self._timeout), files={"file": file})
                response = http.send(built)
            return answer_of(response, response.content)

    def _open(self, request: Request, opened: ExitStack) -> tuple[Answer, "_Body"]:
        with failures(request.url):
            built = self._http.build_request(**arguments_of(request, self._timeout))
            response = self._http.send(built, stream=True)
            opened.callback(response.close)
            return answer_of(response, b"" if response.is_success else response.read()), _Body(response)


class _Body:
    """The body of an answer, while it is read."""

    def __init__(self, response: httpx.Response) -> None:
        self.url = response.request.url
        self.pieces = response.iter_bytes()
        self.close = response.close


class Client:
    """Sends requests to one server as one person. As a context manager it closes itself.

    What is not given comes from TASKBEACON_URL, TASKBEACON_TOKEN, TASKBEACON_PROJECT and TASKBEACON_PROFILE, else from
    the profile in the configuration. `timeout` is in seconds; `retries` counts the repetitions of a request that fails
    for a moment, where a repetition is safe. `insecure` allows http to other machines.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        project: str | int | None = None,
        *,
        profile: str | None = None,
        timeout: float = 30.0,
        retries: int = 4,
        insecure: bool = False,
    ) -> None:
        self.settings = find_settings(url, token, project, profile=profile, insecure=insecure)
        self.core = Core(self.settings, retries)
        self._transport = _Transport(self.settings, timeout)
        self.tasks, self.runs, self.questions = Tasks(self), Runs(self), Questions(self)
        self.events, self.webhooks, self.artifacts = Events(self), Webhooks(self), Artifacts(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: dict[str, Any] | None = None,
        request_id: str | None = None,
    ) -> Any:
        """Return the JSON of the answer to any request; `path` is one below the project unless it begins with /api.

        A POST is repeated only with `request_id`, which must then be its own.
        """
        options = {"json_": json, "params": params, "key": request_id}
        return self.perform(self.core.request(method, path, **options))

    def perform(self, flow: Flow[T]) -> T:
        """Perform an operation of `core`."""
        return self._transport.perform(flow)

    def iterate(self, items: Items[T]) -> Generator[T, None, None]:
        """Yield the items of an operation of `core`."""
        return self._transport.iterate(items)
