"""The host, scheme and address of a request behind a proxy: as the proxy says, if it is trusted (contract 2.6)."""

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.web.proxies import TrustedProxies

# Headers behind a proxy that is trusted, and the base of links that follows.
HOSTS = [
    ({"Host": "api.example.com"}, "http://api.example.com"),
    ({"Host": "localhost:8123"}, "http://localhost:8123"),
    (
        {"Host": "api.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"},
        "https://api.example.com",
    ),
    (
        {"Host": "10.0.0.3:8000", "X-Forwarded-Host": "api.example.com", "X-Forwarded-Proto": "https"},
        "https://api.example.com",
    ),
    # The word of the nearest proxy counts.
    ({"X-Forwarded-Host": "said-by-the-client, [2001:db8::1]:8443"}, "http://[2001:db8::1]:8443"),
    ({"Host": "api.example.com", "X-Forwarded-Host": "a/b?c"}, "http://api.example.com"),
]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the base of links in the answer to a request, and the address of its client."""
    request = Request(scope, receive)
    assert request.client is not None
    await PlainTextResponse(f"{request.base_url} {request.client.host}")(scope, receive, send)


async def answer(headers: dict[str, str], *, address: str) -> str:
    served = TrustedProxies(echo, trusted="127.0.0.1")
    transport = httpx.ASGITransport(served, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return (await client.get("/", headers=headers)).text


@pytest.mark.parametrize(("headers", "base"), HOSTS)
async def test_trusted_proxy_names_the_host_that_was_asked(headers: dict[str, str], base: str) -> None:
    client = headers.get("X-Forwarded-For", "127.0.0.1")
    assert await answer(headers, address="127.0.0.1") == f"{base}/ {client}"


@pytest.mark.walls
async def test_stranger_is_not_believed() -> None:
    headers = {
        "X-Forwarded-Host": "evil.example.com",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "10.0.0.1",
    }
    assert await answer(headers, address="203.0.113.7") == "http://testserver/ 203.0.113.7"
