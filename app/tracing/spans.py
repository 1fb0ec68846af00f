"""Spans: steps of the work of this process, each in the trace of the request that led to it (ADR 80).

Without a tracer nothing of OpenTelemetry is imported here, and `span` returns an object that does nothing. Attributes
are ids, numbers, and names that this code gives: no text of a person or an agent, no file, no address.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import datetime
from functools import wraps
from types import MappingProxyType, TracebackType
from typing import Literal, ParamSpec, Protocol, Self, TypeVar
from uuid import UUID

Kind = Literal["internal", "server", "client"]
Value = str | int | UUID | None
Attributes = Mapping[str, Value]
# The headers of W3C Trace Context.
Parent = Mapping[str, str]
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
_Step = Callable[Arguments, Coroutine[object, None, Result]]

_TRACE_CONTEXT = (b"traceparent", b"tracestate")
NO_ATTRIBUTES: Attributes = MappingProxyType({})


class Span:
    """A step in progress, as a block or from `span` to `end`. This class, for work without a tracer, does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    @property
    def is_open(self) -> bool:
        """Whether it is recorded and has not ended, so that attributes can be set."""
        return False

    @property
    def traceparent(self) -> str | None:
        """The header by which others continue its trace; None without tracing."""
        return None

    def set(self, standard: Attributes = NO_ATTRIBUTES, *, error: str | None = None, **own: Value) -> None:
        """Set attributes: `standard` ones, which OpenTelemetry names, and our own. With an `error` it has failed."""

    def end(self, *, name: str | None = None, at: datetime | None = None) -> None:
        """End it now or as of a time, under a name that was not known before; further ends do nothing."""


class Tracer(Protocol):
    """Makes spans below `parent`, else below the current span, else as a new trace."""

    def begin(
        self, name: str, kind: Kind, own: Attributes, parent: Parent | None, began: datetime | None = None
    ) -> Span: ...

    def current_traceparent(self) -> str | None: ...


class _Process:
    tracer: Tracer | None = None


_OFF = Span()


def span(name: str, *, parent: str | None = None, kind: Kind = "internal", **own: Value) -> Span:
    """Begin a span with our own attributes, below `parent`, the `traceparent` of a row, if there is one."""
    if _Process.tracer is None:
        return _OFF
    return _Process.tracer.begin(name, kind, own, {"traceparent": parent} if parent else None)


def span_of_request(name: str, headers: Iterable[tuple[bytes, bytes]]) -> Span:
    """Begin the span of a request to this server, in the trace that the headers name, or a new one."""
    if _Process.tracer is None:
        return _OFF
    parent = {key.decode(): value.decode("latin-1") for key, value in headers if key in _TRACE_CONTEXT}
    return _Process.tracer.begin(name, "server", NO_ATTRIBUTES, parent)


def record(
    name: str, began: datetime, ended: datetime, *, parent: str | None, error: str | None = None, **own: Value
) -> None:
    """Record a span that is over; `parent` is as for `span`, and with an `error` it has failed."""
    if _Process.tracer is not None:
        headers = {"traceparent": parent} if parent else None
        past = _Process.tracer.begin(name, "internal", own, headers, began)
        past.set(error=error)
        past.end(at=ended)


def current_traceparent() -> str | None:
    """Return the `traceparent` of the current span, for a row that others continue; None without one."""
    return None if _Process.tracer is None else _Process.tracer.current_traceparent()


def traced(name: str) -> Callable[[_Step[Arguments, Result]], _Step[Arguments, Result]]:
    """Return a decorator by which each call of a coroutine function is a span with this name."""

    def decorate(work: _Step[Arguments, Result]) -> _Step[Arguments, Result]:
        @wraps(work)
        async def perform(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
            with span(name):
                return await work(*arguments, **named)

        return perform

    return decorate


def use_tracer(tracer: Tracer | None) -> None:
    """Make all further spans of this process by this tracer; None switches tracing off."""
    _Process.tracer = tracer
