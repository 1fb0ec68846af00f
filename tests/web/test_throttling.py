"""Limits of clients without a key: by address, and none while Redis is away."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from fastapi import Request

from app.clients.redis import create_redis
from app.clients.request_counter import RateLimiter
from app.errors import Throttled
from app.runtime import ProcessContext
from app.web.throttling import address_of, throttle_address
from tests.support.deployment.processes import closed_port

PER_MINUTE = 60


def request_from(host: str | None, process: ProcessContext | None = None) -> Request:
    app, client = SimpleNamespace(state=SimpleNamespace(process=process)), host and (host, 40000)
    return Request({"type": "http", "app": app, "headers": [], "client": client})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("a-socket", "a-socket"),
        (None, ""),
    ],
)
def test_clients_of_one_ipv6_network_count_as_one(host: str | None, address: str) -> None:
    assert address_of(request_from(host)) == address


@pytest.mark.usefixtures("clock")
async def test_one_request_too_many_of_an_address_is_refused(process: ProcessContext) -> None:
    limited = replace(process, rate_limiter=RateLimiter())
    for last in range(PER_MINUTE):
        await throttle_address(request_from(f"2001:db8::{last + 1:x}", limited), "test")
    with pytest.raises(Throttled):
        await throttle_address(request_from("2001:db8::ffff", limited), "test")
    await throttle_address(request_from("2001:db8:0:1::1", limited), "test")


@pytest.mark.usefixtures("clock")
async def test_all_requests_pass_while_redis_is_away(
    process: ProcessContext, caplog: pytest.LogCaptureFixture
) -> None:
    away = create_redis(f"redis://127.0.0.1:{closed_port()}")
    cut_off = replace(process, redis=away, rate_limiter=RateLimiter())
    for _ in range(PER_MINUTE + 1):
        await throttle_address(request_from("203.0.113.7", cut_off), "test")
    assert "throttle.unavailable" in caplog.text
    await away.aclose()
