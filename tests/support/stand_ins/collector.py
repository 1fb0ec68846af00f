"""A collector of OpenTelemetry on a real socket: it takes spans by OTLP over HTTP, as Jaeger or Tempo do.

It imports the messages of OTLP when it needs them: each process of the suite loads this module, and few take spans.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.waiting import eventually
from tests.support.web.serving import serving

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True, slots=True)
class Taken:
    """A span as a collector has taken it."""

    service: str
    span: "Span"

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def id(self) -> str:
        return self.span.span_id.hex()

    @property
    def trace(self) -> str:
        return self.span.trace_id.hex()

    @property
    def parent(self) -> str:
        return self.span.parent_span_id.hex()

    @property
    def has_failed(self) -> bool:
        from opentelemetry.proto.trace.v1.trace_pb2 import Status  # noqa: PLC0415 - slow to load

        return self.span.status.code == Status.STATUS_CODE_ERROR

    @property
    def attributes(self) -> dict[str, Any]:
        return _plain(self.span.attributes)


class Collector:
    """Keeps the spans of all requests, and answers 200 while `may_answer` is set."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Taken] = []
        # All requests, one after another.
        self.bodies = b""
        self.held = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process that sends its spans here, as soon as they have ended."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "20"}

    def named(self, name: str, trace: str | None = None) -> list[Taken]:
        return [each for each in self.spans if each.name == name and trace in {None, each.trace}]

    async def take(self, name: str, trace: str | None = None) -> Taken:
        """Return the first span with this name, of a trace or of any, once it has come."""
        await eventually(lambda: self.named(name, trace))
        return self.named(name, trace)[0]

    async def _receive(self, request: Request) -> Response:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415 - slow to load

        body = await request.body()
        self.held += 1
        _ = await self.may_answer.wait()
        self.held -= 1
        self.bodies += body
        for resource in trace_service_pb2.ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _plain(resource.resource.attributes)["service.name"]
            self.spans += [Taken(service, span) for scope in resource.scope_spans for span in scope.spans]
        return Response()

    def application(self) -> Starlette:
        return Starlette(routes=[Route("/v1/traces", self._receive, methods=["POST"])])


def _plain(attributes: Any) -> dict[str, Any]:  # of protobuf, which has no types for repeated fields
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@asynccontextmanager
async def collecting() -> AsyncGenerator[Collector, None]:
    collector = Collector()
    async with serving(collector.application()) as collector.url:
        yield collector
        collector.may_answer.set()
        # An exporter that still sends would try again without us, and draw random numbers during other tests.
        await eventually(lambda: not any(each.name.startswith("Otel") for each in threading.enumerate()))
