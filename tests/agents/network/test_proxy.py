"""The proxy of a run: allowed and refused clients, and every trick to pretend to be another client."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typing_extensions import override

from app.agents.network.domains import TRUSTED_DOMAINS, covers
from app.agents.network.proxy import HEAD_BYTES, Allowance, Connector, Egress, Service, Streams
from app.security.addresses import AddressPolicy, is_public
from tests.support.clock import let_time_pass
from tests.support.waiting import eventually, patient

pytestmark = pytest.mark.walls

PUBLIC = "93.184.216.34"


@dataclass
class Server:
    """A server on the loopback that answers each connection with what it was sent."""

    port: int = 0
    received: list[bytes] = field(default_factory=list)
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received.append(await reader.read(65536))
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener:
        server.port = listener.sockets[0].getsockname()[1]
        yield server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(Server()) as made:
        yield made


@dataclass
class Internet(Connector):
    """A set of names in which every public address is the one server; real connections, invented names."""

    server: Server
    names: dict[str, Sequence[str]] = field(default_factory=dict)
    connected: list[tuple[str, int]] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    silent: frozenset[str] = frozenset()

    @override
    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        if host not in self.names:
            raise socket.gaierror("unknown")
        return self.names[host]

    @override
    async def connect(self, address: str, port: int) -> Streams:
        self.connected.append((address, port))
        if address in self.silent:
            await asyncio.Event().wait()
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    @override
    def close(self) -> None:
        pass


@dataclass
class Proxy:
    """The proxy under test, on a Unix socket as in a run."""

    path: Path
    internet: Internet
    reported: list[str]
    egress: Egress

    async def send(self, request: bytes, more: bytes = b"") -> bytes:
        """Send a request, and more once a tunnel is open; return everything that comes back."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            writer.write(request)
            answer = b""
            if more:
                answer = await reader.readuntil(b"\r\n\r\n")
                writer.write(more)
            writer.write_eof()
            async with asyncio.timeout(120):
                return answer + await reader.read()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def tunnel(self, target: str, more: bytes = b"") -> bytes:
        return await self.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode(), more)


@asynccontextmanager
async def proxy_for(allowance: Allowance, internet: Internet) -> AsyncIterator[Proxy]:
    reported: list[str] = []

    async def report(text: str) -> None:
        reported.append(text)

    egress = Egress(allowance, report, connector=internet)
    # Below the system's temporary folder: the path of a socket is short.
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # an abstract name of the kernel's choice
    unix = await asyncio.start_unix_server(egress.accept, sock=listener, limit=HEAD_BYTES)
    try:
        yield Proxy(listener.getsockname(), internet, reported, egress)
    finally:
        unix.close()
        await egress.aclose()


@pytest.fixture
def internet(server: Server) -> Internet:
    return Internet(server, {"api.example.com": [PUBLIC], "deep.example.org": [PUBLIC]})


@pytest.fixture
async def proxy(internet: Internet) -> AsyncIterator[Proxy]:
    allowance = Allowance(
        domains=["api.example.com", "*.example.org", "rebind.example.com"],
        services=[Service("model.internal", 8443)],
    )
    async with proxy_for(allowance, internet) as made:
        yield made


async def test_tunnel_to_a_listed_host_carries_bytes_both_ways(proxy: Proxy, server: Server) -> None:
    answer = await proxy.tunnel("api.example.com:443", b"hello")

    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n" + server.answer
    assert server.received == [b"hello"]
    assert proxy.internet.connected == [(PUBLIC, 443)]
    assert proxy.reported == []


async def test_plain_request_is_sent_on_without_what_concerns_the_proxy(proxy: Proxy, server: Server) -> None:
    answer = await proxy.send(
        b"POST http://API.example.com/a?b HTTP/1.1\r\nhost: api.EXAMPLE.com\r\nProxy-Connection: keep-alive\r\n"
        b"Proxy-Authorization: Basic eDp5\r\nContent-Length: 3\r\n\r\nabc"
    )

    assert answer == server.answer
    assert server.received == [
        b"POST /a?b HTTP/1.1\r\nHost: API.example.com\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    ]
    assert proxy.internet.connected == [(PUBLIC, 80)]


async def test_mcp_server_is_reached_where_the_policy_permits_and_is_not_named(
    server: Server, internet: Internet
) -> None:
    internet.names |= {"mcp.example.net": ["10.9.0.1"], "moved.example.net": ["10.8.0.1"]}
    allowance = Allowance(
        servers=[
            Service("mcp.example.net", 8080),
            Service("moved.example.net", 443),
            Service("gone.example.net", 443),
        ],
        policy=AddressPolicy.parse(("10.9.0.0/16",)),
    )
    async with proxy_for(allowance, internet) as proxy:
        assert b"200" in await proxy.tunnel("mcp.example.net:8080", b"x")
        for refused, status in (
            ("mcp.example.net:80", b"403"),
            ("moved.example.net:443", b"403"),
            ("gone.example.net:443", b"502"),
        ):
            assert status in await proxy.tunnel(refused, b"")
        assert server.received == [b"x"]
        assert proxy.reported == [
            "An imported MCP server was refused: it is not among the hosts that this run may reach.",
            "An imported MCP server was refused: its name leads to an address that is not public.",
            "An imported MCP server cannot be reached.",
        ]


async def test_host_below_a_wildcard_is_listed(proxy: Proxy, server: Server) -> None:
    assert b"200" in await proxy.tunnel("Deep.example.org.:443", b"x")
    assert server.received == [b"x"]


@pytest.mark.parametrize(
    "target",
    [
        "evil.example.net:443",
        "example.org:443",  # the wildcard is for what is below
        "api.example.com.evil.net:443",
        "evilapi.example.com:443",
        "localhost:443",
        "127.0.0.1:443",
        "127.1:443",
        "2130706433:443",
        "0x7f000001:443",
        "0177.0.0.1:443",
        "0.0.0.0:443",
        "[::1]:443",
        "[::ffff:127.0.0.1]:443",
        "[::ffff:7f00:1]:443",
        "169.254.169.254:80",
        "api.example.com:22",
        "api.example.com:5432",
        "model.internal:443",
    ],
)
async def test_host_that_is_not_listed_is_refused_reported_and_not_looked_up(
    proxy: Proxy, server: Server, target: str
) -> None:
    answer = await proxy.tunnel(target)

    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert (proxy.internet.looked_up, proxy.internet.connected, server.received) == ([], [], [])
    [reported] = proxy.reported
    assert "was refused" in reported


@pytest.mark.parametrize(
    "request_",
    [
        b"CONNECT api.example.com HTTP/1.1\r\n\r\n",
        b"CONNECT api.example.com:0 HTTP/1.1\r\n\r\n",
        b"CONNECT api.example.com:65536 HTTP/1.1\r\n\r\n",
        b"CONNECT api.example.com:443:443 HTTP/1.1\r\n\r\n",
        b"CONNECT user@api.example.com:443 HTTP/1.1\r\n\r\n",
        b"CONNECT api.example.com:443@evil.net:443 HTTP/1.1\r\n\r\n",
        b"CONNECT api.example.com%00.evil.net:443 HTTP/1.1\r\n\r\n",
        b"CONNECT api.example.com:443\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        b"GET https://api.example.com/ HTTP/1.1\r\n\r\n",
        b"GET ftp://api.example.com/ HTTP/1.1\r\n\r\n",
        b"GET http://evil.net@api.example.com/ HTTP/1.1\r\n\r\n",
        b"GET http://api.example.com\\@evil.net/ HTTP/1.1\r\n\r\n",
        b"GET http://api.example.com#@evil.net/ HTTP/1.1\r\n\r\n",
        b"GET http://api.example.com/\nHost:evil.net HTTP/1.1\r\n\r\n",
        b"GET http://api.example.com/ HTTP/1.1\r\nX: y\nHost: evil.net\r\n\r\n",
        b"GET http://api.example.com/ HTTP/1.1\r\nHost : evil.net\r\n\r\n",
        b"GET http://api.example.com/ HTTP/1.1\r\n Host: evil.net\r\n\r\n",
        b"GET http://api.example.com/ HTTP/1.1\r\nHost: evil.net\r\n\r\n",
        b"GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nHost: evil.net\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"\x05\x01\x00\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_malformed_or_ambiguous_request_reaches_no_server(
    proxy: Proxy, server: Server, request_: bytes
) -> None:
    answer = await proxy.send(request_)

    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 ")), answer
    assert (proxy.internet.connected, server.received) == ([], [])


@pytest.mark.parametrize("port", ["00001065536", "00000" + "4" * 5000], ids=["above", "endless"])
async def test_port_above_the_last_is_malformed_with_leading_zeros_too(proxy: Proxy, port: str) -> None:
    """Regression: six digits were checked; a higher port was asked for, and the longest closed the connection."""
    answer = await proxy.tunnel(f"api.example.com:{port}")

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_port_may_have_leading_zeros(proxy: Proxy) -> None:
    assert b"200" in await proxy.tunnel(f"api.example.com:{'0' * 9}443", b"x")
    assert proxy.internet.connected == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104 - asked for by name, not listened on
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "fec0::1",
        "3fff::1",
        "168.63.129.16",
        "192.0.0.8",
        "192.88.99.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::80ff:fffe",
    ],
)
async def test_listed_name_that_leads_to_a_private_address_is_refused(
    proxy: Proxy, server: Server, address: str
) -> None:
    """Also known as rebinding: the owner of a name decides where it leads, and decides otherwise a moment later."""
    proxy.internet.names["rebind.example.com"] = [address]

    answer = await proxy.tunnel("rebind.example.com:443")

    assert not is_public(address)
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert (proxy.internet.connected, server.received) == ([], [])
    assert proxy.reported == [
        "rebind.example.com:443 was refused: its name leads to an address that is not public."
    ]
    assert proxy.egress.refused_hosts == {"rebind.example.com:443"}


async def test_only_the_address_that_was_checked_is_connected_to(proxy: Proxy) -> None:
    proxy.internet.names["rebind.example.com"] = ["10.0.0.1", "2606:2800:220:1::1", "127.0.0.1"]

    assert b"200" in await proxy.tunnel("rebind.example.com:443", b"x")
    assert proxy.internet.connected == [("2606:2800:220:1::1", 443)]
    assert proxy.internet.looked_up == ["rebind.example.com"]


async def test_service_of_the_operator_may_be_anywhere(proxy: Proxy, server: Server) -> None:
    proxy.internet.names["model.internal"] = ["10.1.2.3"]

    assert b"200" in await proxy.tunnel("model.internal:8443", b"x")
    assert proxy.internet.connected == [("10.1.2.3", 8443)]
    assert server.received == [b"x"]


async def test_redirect_is_the_clients_to_follow_and_checked_again(proxy: Proxy, server: Server) -> None:
    server.answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"

    assert await proxy.send(b"GET http://api.example.com/ HTTP/1.1\r\n\r\n") == server.answer
    assert (await proxy.send(b"GET http://127.0.0.1/ HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
    assert len(server.received) == 1


async def test_second_request_of_a_connection_goes_to_the_same_server_only(proxy: Proxy) -> None:
    await proxy.send(
        b"GET http://api.example.com/ HTTP/1.1\r\n\r\nGET http://evil.example.net/ HTTP/1.1\r\n\r\n"
    )

    assert proxy.internet.connected == [(PUBLIC, 80)]


async def test_unreachable_host_is_reported_but_not_as_refused(proxy: Proxy) -> None:
    for _ in range(2):
        assert (await proxy.tunnel("unknown.example.org:443")).startswith(b"HTTP/1.1 502 ")
    assert proxy.reported == ["unknown.example.org:443 cannot be reached."]


async def test_next_address_is_tried_if_the_first_is_silent(
    internet: Internet, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: a silent address, such as that of a broken IPv6 route, took all the time for connecting."""
    internet.names["api.example.com"] = ["2606:2800:220:1::1", PUBLIC]
    internet.silent = frozenset({"2606:2800:220:1::1"})

    sending = asyncio.create_task(proxy.send(b"GET http://api.example.com/ HTTP/1.1\r\n\r\n"))
    await eventually(lambda: bool(internet.connected))
    let_time_pass(monkeypatch, seconds=8)

    assert (await sending).startswith(b"HTTP/1.1 200 ")
    assert internet.connected == [("2606:2800:220:1::1", 80), (PUBLIC, 80)]


async def test_client_that_breaks_off_lets_go_of_a_server_that_says_nothing_more(
    internet: Internet, proxy: Proxy
) -> None:
    """The error was noticed when the server's answer ended, or after a quarter of an hour."""
    is_over = asyncio.Event()

    class Silent(Server):
        @override
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hi")
            await reader.read()
            is_over.set()
            writer.close()

    loop, opened = asyncio.get_running_loop(), b"HTTP/1.1 200 Connection established\r\n\r\n"
    async with running(Silent()) as server:
        internet.server = server
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0)
            await loop.sock_connect(client, os.fspath(proxy.path))
            await loop.sock_sendall(client, b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n")
            # What it leaves unread makes its end an error.
            for _ in range(len(opened) + 1):
                await loop.sock_recv(client, 1)
        async with asyncio.timeout(10):
            await is_over.wait()


async def test_head_without_end_is_cut_off(proxy: Proxy) -> None:
    answer = await proxy.send(b"GET http://api.example.com/ HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)

    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_each_refusal_is_reported_once_up_to_a_limit(proxy: Proxy) -> None:
    for number in range(60):
        await proxy.tunnel(f"evil{number}.example.net:443")
        await proxy.tunnel(f"evil{number}.example.net:443")

    assert len(proxy.reported) == len(set(proxy.reported)) == 51
    assert proxy.reported[-1] == "Further refusals are not reported."


async def test_connection_beyond_the_limit_is_refused(internet: Internet, server: Server) -> None:
    async with proxy_for(Allowance(domains=["api.example.com"]), internet) as proxy:
        waiting = [await asyncio.open_unix_connection(proxy.path) for _ in range(128)]
        for _, writer in waiting:
            writer.write(b"CONNECT ")
        answer = await proxy.tunnel("api.example.com:443")
        for _, writer in waiting:
            writer.close()
            await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert server.received == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://api.anthropic.com", Service("api.anthropic.com", 443)),
        ("http://127.0.0.1:4010/v1", Service("127.0.0.1", 4010)),
        ("http://[::1]:4010/v1", Service("::1", 4010)),
        ("http://LocalHost", Service("localhost", 80)),
        ("mirror.internal", Service("mirror.internal", 443)),
        ("mirror.internal:8080", Service("mirror.internal", 8080)),
    ],
)
def test_services_are_read_from_urls_and_names(text: str, expected: Service) -> None:
    assert Service.parse(text) == expected
    assert Service.parse(expected.authority) == expected


async def test_connection_that_comes_while_the_proxy_closes_is_closed(internet: Internet) -> None:
    async def report(_text: str) -> None:
        pass

    egress = Egress(Allowance(), report, connector=internet)
    closing = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancels what serves the connection before its first step.
        closing.append(asyncio.create_task(egress.aclose()))
        egress.accept(reader, writer)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        async with asyncio.timeout(patient(60)):
            assert await reader.read() == b""
        writer.close()
    await asyncio.gather(*closing)


def test_trusted_hosts_are_names_in_the_form_they_are_compared_in() -> None:
    assert len(set(TRUSTED_DOMAINS)) == len(TRUSTED_DOMAINS)
    for domain in TRUSTED_DOMAINS:
        assert domain == domain.lower().strip(".")
        assert covers(TRUSTED_DOMAINS, domain.replace("*", "any"))
