"""Begins to trace a process if the standard variables of OpenTelemetry ask for it (docs/operating/tracing.md).

The SDK reads most of them itself; here are those that decide whether it is loaded at all.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from app.tracing.spans import use_tracer

if TYPE_CHECKING:
    from app.tracing.otlp import OtlpTracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"

log = structlog.get_logger(__name__)


@contextmanager
def tracing(service: str) -> Iterator[None]:
    """Send the spans of this process during the block, if the environment asks for it; `service` is its usual name."""
    tracer = _open(service)
    if tracer is None:
        yield
        return
    use_tracer(tracer)
    try:
        yield
    finally:
        use_tracer(None)
        tracer.close()


def _open(service: str) -> "OtlpTracer | None":
    exporter = _wanted_exporter()
    if exporter is None:
        return None
    protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), _HTTP)
    if (exporter, protocol) == ("otlp", _HTTP):
        try:
            from app.tracing.otlp import OtlpTracer  # noqa: PLC0415 - loads OpenTelemetry, which may not be installed

            tracer = OtlpTracer(service)
        except ModuleNotFoundError:
            reason = "the extra `tracing` of taskbeacon-server is not installed"
        except ValueError as error:
            reason = f"a variable has a bad value: {error}"
        else:
            log.info("tracing.started")
            return tracer
    else:
        reason = f"only otlp over {_HTTP} is possible, not {exporter} over {protocol}"
    # Only a warning: the service must start also if it cannot be traced.
    log.warning("tracing.off", reason=reason)
    return None


def _wanted_exporter() -> str | None:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if not named:
        return "otlp" if any(map(os.environ.get, _ENDPOINTS)) else None
    return None if named == "none" else named
