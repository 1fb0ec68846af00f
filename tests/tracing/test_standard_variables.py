"""The variables of OpenTelemetry: what switches tracing on, and what a collector that is away costs."""

import asyncio
import sys

import pytest
from structlog.testing import capture_logs

from app.tracing.spans import current_traceparent, span
from app.tracing.standard_variables import tracing
from tests.support.deployment.processes import closed_port
from tests.support.stand_ins.collector import Collector
from tests.support.waiting import eventually, patient

# Nothing is sampled, so that nothing waits to be sent.
_ENDPOINT = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed_port()}",
    "OTEL_TRACES_SAMPLER": "always_off",
}


@pytest.mark.parametrize(
    ("variables", "is_on"),
    [
        ({}, False),
        (_ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": _ENDPOINT["OTEL_EXPORTER_OTLP_ENDPOINT"]}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, False),
        (_ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (_ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_endpoint_or_exporter_switches_tracing_on(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], is_on: bool
) -> None:
    for name, value in ({"OTEL_TRACES_SAMPLER": "always_off"} | variables).items():
        monkeypatch.setenv(name, value)

    with capture_logs() as logs, tracing("taskbeacon-api"), span("a step"):
        assert (current_traceparent() is not None) is is_on

    assert [each["event"] for each in logs] == ["tracing.started"] * is_on
    assert current_traceparent() is None


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "not zipkin"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "over grpc"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "0"}, "bad value"),
    ],
)
def test_what_cannot_be_sent_is_said_at_the_start_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
) -> None:
    for name, value in (_ENDPOINT | variables).items():
        monkeypatch.setenv(name, value)

    with capture_logs() as logs, tracing("taskbeacon-api"), span("a step") as step:
        assert step.traceparent is None

    assert [(each["event"], each["log_level"]) for each in logs] == [("tracing.off", "warning")]
    assert reason in logs[0]["reason"]


def test_missing_extra_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _ENDPOINT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "app.tracing.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with capture_logs() as logs, tracing("taskbeacon-api"):
        pass

    assert [(each["event"], each["log_level"]) for each in logs] == [("tracing.off", "warning")]
    assert "extra `tracing`" in logs[0]["reason"]


async def test_process_ends_while_the_collector_keeps_it_waiting(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.may_answer.clear()
    # Longer than the test waits: only our own limit ends it.
    for name, value in (collector.variables | {"OTEL_EXPORTER_OTLP_TIMEOUT": "3600"}).items():
        monkeypatch.setenv(name, value)

    def work() -> None:
        with tracing("taskbeacon-worker"):
            # More than the queue holds.
            for _ in range(5000):
                span("a step").end()

    working = asyncio.create_task(asyncio.to_thread(work))
    await eventually(lambda: collector.held)
    async with asyncio.timeout(patient(60)):
        await working

    assert collector.held == 1
    assert collector.spans == []
