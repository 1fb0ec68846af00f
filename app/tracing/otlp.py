"""Sends spans by OTLP over HTTP, with the SDK of OpenTelemetry; imported only if tracing is on."""

import os
import socket
import threading
from contextvars import Token
from datetime import datetime
from types import TracebackType
from typing import Self

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bind_contextvars, reset_contextvars
from typing_extensions import override

from app import __version__
from app.tracing.spans import NO_ATTRIBUTES, Attributes, Kind, Parent, Span, Value

_CLOSE_SECONDS = 2.0
_TRACE_CONTEXT = TraceContextTextMapPropagator()


class OtlpTracer:
    """A tracer by the standard variables: sampler, endpoint, headers, limits. Its full queue loses spans."""

    def __init__(self, service: str) -> None:
        instance = f"{socket.gethostname()}:{os.getpid()}"
        ours = Resource.create(
            {"service.name": service, "service.version": __version__, "service.instance.id": instance}
        )
        # Attributes from the environment override ours.
        resource = ours.merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("taskbeacon", __version__)

    def begin(
        self, name: str, kind: Kind, own: Attributes, parent: Parent | None, began: datetime | None = None
    ) -> "_SentSpan":
        within = None if parent is None else _TRACE_CONTEXT.extract(parent, Context())
        attributes = _wire(NO_ATTRIBUTES, own)
        return _SentSpan(
            self._tracer.start_span(
                name, within, SpanKind[kind.upper()], attributes, start_time=_nanoseconds(began)
            )
        )

    def current_traceparent(self) -> str | None:
        current = trace.get_current_span().get_span_context()
        return _traceparent(current) if current.is_valid else None

    def close(self) -> None:
        """Send what waits, for two seconds at most."""
        # In a daemon thread, because the SDK waits longer than this for a collector that does not answer.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)


class _SentSpan(Span):
    _entered: Token[Context]
    _bound: dict[str, Token[object]]

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._identity = span.get_span_context()

    @override
    def __enter__(self) -> Self:
        self._entered = context.attach(trace.set_span_in_context(self._span))
        _, trace_id, span_id, _ = self.traceparent.split("-")
        # Puts the ids into log lines.
        self._bound = dict(bind_contextvars(trace_id=trace_id, span_id=span_id))
        return self

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Only the type: the message may quote a prompt, a file or an address. A cancellation is no failure.
        self.set(error=type(error).__name__ if isinstance(error, Exception) else None)
        self.end()
        reset_contextvars(**self._bound)
        context.detach(self._entered)

    @property
    @override
    def is_open(self) -> bool:
        return self._span.is_recording()

    @property
    @override
    def traceparent(self) -> str:
        return _traceparent(self._identity)

    @override
    def set(self, standard: Attributes = NO_ATTRIBUTES, *, error: str | None = None, **own: Value) -> None:
        if self.is_open:
            self._span.set_attributes(_wire({**standard, "error.type": error}, own))
            if error is not None:
                self._span.set_status(Status(StatusCode.ERROR))

    @override
    def end(self, *, name: str | None = None, at: datetime | None = None) -> None:
        if self.is_open:
            if name is not None:
                self._span.update_name(name)
            self._span.end(_nanoseconds(at))


def _traceparent(identity: SpanContext) -> str:
    ids = f"{trace.format_trace_id(identity.trace_id)}-{trace.format_span_id(identity.span_id)}"
    return f"00-{ids}-{identity.trace_flags:02x}"


def _wire(standard: Attributes, own: Attributes) -> dict[str, str | int]:
    named = {**standard, **{f"taskbeacon.{name}": value for name, value in own.items()}}
    return {
        name: value if isinstance(value, int) else str(value)
        for name, value in named.items()
        if value is not None
    }


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000_000) * 1000
