"""What both clients share: settings, parts, and the conversion of steps to httpx requests and back."""

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, Self, TypeVar

import httpx

from taskbeacon.client.core import Core
from taskbeacon.client.errors import ConnectionFailed
from taskbeacon.client.parts import Artifacts, Call, Events, Questions, Runs, Tasks, Webhooks
from taskbeacon.client.settings import find_settings, is_loopback
from taskbeacon.client.steps import Answer, Flow, Items, Request, Step, Yield

HttpT = TypeVar("HttpT", bound=httpx.Client | httpx.AsyncClient)
PiecesT = TypeVar("PiecesT")
log = logging.getLogger("taskbeacon.client")


class ClientBase(Generic[HttpT]):
    """Sends requests to one server as one person. As a context manager it closes itself.

    What is not given comes from TASKBEACON_URL, TASKBEACON_TOKEN, TASKBEACON_PROJECT and TASKBEACON_PROFILE, else from
    the profile in the configuration. `timeout` is in seconds; `retries` counts the repetitions of a request that fails
    for a moment, if a repetition is safe. `insecure` allows http to other machines.
    """

    _http_class: type[HttpT]

    def __init__(
        self: Self,
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
        self._timeout = timeout
        self._http = self._new_http(self.settings.url)
        self.tasks: Tasks[Self] = Tasks(self)
        self.runs: Runs[Self] = Runs(self)
        self.questions: Questions[Self] = Questions(self)
        self.events: Events[Self] = Events(self)
        self.webhooks: Webhooks[Self] = Webhooks(self)
        self.artifacts: Artifacts[Self] = Artifacts(self)

    request = Call(Core.request)

    def _new_http(self, url: str) -> HttpT:
        return self._http_class(
            timeout=self._timeout,
            # The key is for one host.
            follow_redirects=False,
            trust_env=not is_loopback(url),
            # Without TLS there is nothing to verify, and loading the certificates takes longer than all else.
            verify=not url.startswith("http:"),
        )

    def _built(self, request: Request, **more: Any) -> httpx.Request:
        more |= {"headers": dict(request.headers), "content": request.content}
        more["data"] = {name: str(text) for name, text in (request.form or {}).items()} or None
        left = max(request.deadline - time.monotonic(), 1.0)  # a second to answer, however late it is
        silence = min(request.timeout or self._timeout, left)
        more["timeout"] = httpx.Timeout(min(self._timeout, left), read=silence)
        return self._http.build_request(request.method, request.url, **more)


def resume(flow: Flow[Any] | Items[Any], outcome: Any) -> Step | Yield[Any] | StopIteration:
    """Return the next step of a generator, or its end, which has what it returns."""
    try:
        return flow.throw(outcome) if isinstance(outcome, ConnectionFailed) else flow.send(outcome)
    except StopIteration as stop:
        return stop


class Body(NamedTuple, Generic[PiecesT]):
    """The body of an answer, while it is read."""

    response: httpx.Response
    pieces: PiecesT


def answer_of(response: httpx.Response, body: bytes = b"") -> Answer:
    request = response.request
    log.debug("%s %s %d", request.method, request.url, response.status_code)
    return Answer(response.status_code, {name.lower(): text for name, text in response.headers.items()}, body)


@contextmanager
def failures(url: object) -> Generator[None, None, None]:
    """Raise ConnectionFailed for what httpx raises while it asks a server."""
    try:
        yield
    except httpx.InvalidURL as error:
        raise ValueError(f"{url}: {error}") from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        reason = str(error) or type(error).__name__
        log.debug("%s failed: %s", url, reason)
        place = str(httpx.URL(str(url)).join("/"))
        raise ConnectionFailed(f"{place} does not answer: {reason}. Is the server running?") from error
