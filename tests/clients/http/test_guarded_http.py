"""The only client for addresses that others chose: it reaches no inside address, by any proxy or redirect."""

import socket
import ssl
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.clients.http import guarded_http
from app.clients.http.guarded_http import DIALLED, BlockedAddress, create_guarded_client
from app.clients.http.host_names import NameNotFound
from app.security.addresses import AddressPolicy
from tests.support.web.serving import serving

pytestmark = pytest.mark.walls

CLOSED = AddressPolicy()
LOOPBACK = AddressPolicy.parse(("127.0.0.0/8", "::1/128"))
# Addresses, however they are written or wrapped, and names for them.
INSIDE = [
    "https://127.0.0.1/",
    "https://127.8.8.8/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::80ff:fffe]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[ff02::1]/",
    # Numbers that resolvers take for addresses.
    "https://2130706433/",
    "https://0x7f000001/",
    "https://127.1/",
    "https://localhost/",
    # Of the public Internet, in a way that is not for it.
    "http://93.184.216.34/",
    "https://93.184.216.34:8443/",
]


@pytest.mark.parametrize("url", INSIDE)
async def test_nothing_inside_is_connected_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it connected"))
    dialled: list[str] = []
    async with create_guarded_client(CLOSED) as http:
        with pytest.raises(BlockedAddress) as blocked:
            await http.post(url, extensions={DIALLED: dialled})

    assert dialled == [blocked.value.address]


@pytest.mark.parametrize("others", [[], ["93.184.216.34"], ["2606:2800:220:1::1"]])
async def test_one_address_inside_is_enough_to_refuse_a_name(others: list[str]) -> None:
    def names(_host: str, _port: int) -> Sequence[str]:
        return [*others, "10.0.0.1"]

    async with create_guarded_client(CLOSED, names=names) as http:
        with pytest.raises(BlockedAddress):
            await http.get("https://rebinding.example.com/")


async def test_name_that_cannot_be_looked_up_is_not_allowed_through() -> None:
    def names(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    async with create_guarded_client(LOOPBACK, names=names) as http:
        with pytest.raises(NameNotFound):
            await http.get("http://hooks.example.com/")


async def test_name_without_an_address_is_not_allowed_through() -> None:
    async with create_guarded_client(LOOPBACK, names=lambda _host, _port: []) as http:
        with pytest.raises(NameNotFound):
            await http.get("http://hooks.example.com/")


async def echo(request: Request) -> Response:
    assert request.client is not None
    return JSONResponse(
        {
            "host": request.headers["host"],
            "encoding": request.headers.get("accept-encoding"),
            "client": request.client.port,
        }
    )


async def away(_: Request) -> Response:
    return RedirectResponse("http://127.0.0.1:1/inside")


@pytest.fixture
async def port() -> AsyncGenerator[int, None]:
    async with serving(Starlette(routes=[Route("/", echo), Route("/away", away)])) as url:
        yield int(url.rpartition(":")[2])


async def test_what_is_connected_to_is_what_was_checked(port: int) -> None:
    """A name of which a second look-up would give another address: there is none."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    async with create_guarded_client(LOOPBACK, names=lambda _host, _port: next(answers)) as http:
        dialled: list[str] = []
        response = await http.get(f"http://hooks.example.com:{port}/", extensions={DIALLED: dialled})

        assert response.json()["host"] == f"hooks.example.com:{port}"
        assert dialled == ["127.0.0.1"]
        # Each request looks again, and the opened network does not switch the check off.
        with pytest.raises(BlockedAddress):
            await http.get(f"http://hooks.example.com:{port}/")


async def test_next_address_is_tried_if_the_first_refuses(port: int) -> None:
    async with create_guarded_client(LOOPBACK, names=lambda _host, _port: ["127.0.0.2", "127.0.0.1"]) as http:
        response = await http.get(f"http://hooks.example.com:{port}/")

    assert response.status_code == 200


@pytest.fixture
def silent(port: int) -> Iterator[str]:
    """An address that answers no attempt to connect to the same port, since its queue of connections is full."""
    with ExitStack() as open_sockets:
        server = open_sockets.enter_context(socket.socket())
        server.bind(("127.0.0.2", port))
        server.listen(0)
        for _ in range(3):
            waiting = open_sockets.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(server.getsockname())
        yield "127.0.0.2"


async def test_next_address_is_tried_if_the_first_is_silent(port: int, silent: str) -> None:
    """Regression: a host with one dead address was never reached by its other one."""
    timeout = httpx.Timeout(30, connect=0.2)
    async with create_guarded_client(LOOPBACK, names=lambda _host, _port: [silent, "127.0.0.1"]) as http:
        response = await http.get(f"http://hooks.example.com:{port}/", timeout=timeout)
        with pytest.raises(httpx.ConnectTimeout):
            await http.get(f"http://{silent}:{port}/", timeout=timeout)

    assert response.status_code == 200


async def test_connections_are_kept_for_the_first_few_hosts(port: int) -> None:
    """Regression: they were kept for each host that was ever used, and some services let users invent host names."""
    transport = guarded_http._GuardedTransport(LOOPBACK, 1, lambda _host, _port: ["127.0.0.1"], hosts=2)
    async with httpx.AsyncClient(transport=transport) as http:

        async def ask(name: str) -> int:
            """Return the port of the connection on this side."""
            response = await http.get(f"http://{name}.example.com:{port}/")
            return int(response.json()["client"])

        kept = {name: await ask(name) for name in ("one", "two")}
        others = {name: await ask(name) for name in ("three", "four")}

        assert {name: await ask(name) for name in kept} == kept
        assert kept["one"] != kept["two"]
        again = {name: await ask(name) for name in others}

    assert not {*again.values()} & {*others.values(), *kept.values()}


async def test_redirect_is_an_answer(port: int) -> None:
    async with create_guarded_client(LOOPBACK) as http:
        response = await http.get(f"http://127.0.0.1:{port}/away")

    assert response.status_code == 307


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxy_of_the_environment_is_not_used(
    port: int, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    async with create_guarded_client(LOOPBACK) as http:
        response = await http.get(f"http://127.0.0.1:{port}/")

    assert response.status_code == 200


async def test_opened_networks_stay_closed_for_the_metadata_of_clouds() -> None:
    wide = AddressPolicy.parse(("0.0.0.0/0", "::/0"))
    async with create_guarded_client(wide) as http:
        for address in (
            "169.254.169.254",
            "169.254.170.23",
            "[fd00:ec2::254]",
            "[fd00:ec2::23]",
            "[fd20:ce::254]",
            "[fd00:c1::a9fe:a9fe]",
            "[::ffff:169.254.169.254]",
            "[fe80::a9fe:a9fe]",
            "100.100.100.200",
            "192.0.0.192",
        ):
            with pytest.raises(BlockedAddress):
                await http.get(f"http://{address}/")


async def test_name_is_asked_for_in_tls(port: int) -> None:
    """The server speaks no TLS: what matters is that the client began it, for the name."""
    async with create_guarded_client(LOOPBACK, names=lambda _host, _port: ["127.0.0.1"]) as http:
        with pytest.raises(httpx.ConnectError) as failed:
            await http.get(f"https://hooks.example.com:{port}/")

    cause: BaseException | None = failed.value
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    assert isinstance(cause, ssl.SSLError)
