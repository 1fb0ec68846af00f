"""The client of the batch API, over a socket: what it believes of a host, and what it tells."""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from app.agents.errors import LargeFilesFailed
from app.agents.git.askpass import Credential
from app.agents.git.command import TOKEN_USER, Remote
from app.agents.lfs.batch import BatchApi
from app.agents.lfs.objects import ObjectFolder, Pointer
from app.clients.http_client import create_http_client
from tests.support.clients import socket_client
from tests.support.github import CodeHostService, github_application
from tests.support.lfs import LargeFileService, pointer_of
from tests.support.serving import serving

TOKEN = "ghp_of_the_client"
CREDENTIAL = Credential(TOKEN_USER, TOKEN)


@dataclass(frozen=True, slots=True)
class Wire:
    """The client and the host that it speaks to."""

    http: httpx.AsyncClient
    host: LargeFileService
    url: str
    folder: ObjectFolder

    def api(self, name: str = "acme/app", credential: Credential | None = CREDENTIAL) -> BatchApi:
        return BatchApi(self.http, Remote(f"{self.url}/{name}", credential))

    async def fetch(self, *pointers: Pointer) -> None:
        await self.api().fetch(
            {pointer: f"file {number}" for number, pointer in enumerate(pointers)}, self.folder
        )


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncGenerator[Wire, None]:
    service = CodeHostService(tmp_path, {TOKEN: "bot"})
    async with serving(github_application(service)) as url, create_http_client() as http:
        yield Wire(http, service.large_files, url, ObjectFolder(tmp_path / "lfs"))


@pytest.mark.parametrize("name", ["acme/app", "acme/app.git", "acme/app/"])
async def test_objects_come_more_than_are_asked_for_at_a_time(wire: Wire, name: str) -> None:
    contents = [str(number).encode() for number in range(101)]
    wanted = {wire.host.hold(content): "file" for content in contents}

    await wire.api(name).fetch(wanted, wire.folder)

    assert {pointer.size for pointer in wanted if wire.folder.find(pointer)} == {1, 2, 3}
    assert len(wire.host.requests) == len(wanted)


async def test_object_that_is_not_there_is_named(wire: Wire) -> None:
    held, missing = wire.host.hold(b"held"), pointer_of(b"missing")

    with pytest.raises(LargeFilesFailed, match=r"'file 1' .* cannot be fetched: Object does not exist"):
        await wire.fetch(held, missing)


async def test_credential_that_is_refused_is_told_and_not_shown(wire: Wire) -> None:
    api = wire.api(credential=Credential(TOKEN_USER, "ghp_wrong"))

    with pytest.raises(LargeFilesFailed, match="answered 401: Credentials needed") as caught:
        await api.fetch({pointer_of(b"x"): "x.bin"}, wire.folder)

    assert "ghp_wrong" not in caught.value.message


async def test_host_that_does_not_answer_is_told(wire: Wire) -> None:
    api = BatchApi(wire.http, Remote("http://127.0.0.1:9/acme/app"))

    with pytest.raises(LargeFilesFailed, match=r"http://127\.0\.0\.1:9 does not answer \(ConnectError\)"):
        await api.fetch({pointer_of(b"x"): "x.bin"}, wire.folder)


async def test_host_cannot_send_us_to_a_place_without_tls(wire: Wire) -> None:
    """A server that only the worker reaches would be asked otherwise."""
    async with serving(Starlette(routes=[])) as inside:
        wire.host.elsewhere = inside

        with pytest.raises(LargeFilesFailed, match="which is not reached by https") as caught:
            await wire.fetch(wire.host.hold(b"x"))

    assert "signed" not in caught.value.message


Answering = Callable[[Request], Response]


@asynccontextmanager
async def host_that(answer: Answering, origin: str = "https://8.8.8.8") -> AsyncIterator[BatchApi]:
    """Yield the client of a host in this process, which is one of the public Internet by its address."""

    async def respond(request: Request) -> Response:
        return answer(request)

    application = Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST", "PUT"])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application)) as http:
        yield BatchApi(http, Remote(f"{origin}/acme/app", CREDENTIAL))


SIGNED = {"X-Signature": "s", "Host": "evil.test"}


def saying(
    pointer: Pointer,
    href: str,
    header: dict[str, str] = SIGNED,
    operations: tuple[str, ...] = ("download",),
    **entry: Any,
) -> JSONResponse:
    actions = {operation: {"href": href, "header": header} for operation in operations}
    return JSONResponse(
        {"objects": [{"oid": pointer.oid, "size": pointer.size, "actions": actions, **entry}]}
    )


@pytest.mark.parametrize(
    ("href", "words"),
    [
        ("https://169.254.169.254/latest", "no public address"),
        ("https://[::ffff:10.0.0.1]/x", "no public address"),
        ("https://localhost/x", "no public address"),
        ("http://8.8.4.4/x", "not reached by https"),
        ("http://8.8.8.8/x", "not reached by https"),
        ("https://user:secret@8.8.8.8/x", "address with a credential"),
        ("file:///etc/passwd", "not reached by https"),
        ("/relative", "not reached by https"),
        ("https:///x", "not reached by https"),
        ("https://[", "cannot be read"),
        ("https://[::1", "cannot be read"),
        ("https://[fe80::1%25eth0]/x", "cannot be read"),
        ("https://8.8.8.8\\@127.0.0.1/x", "address with a credential"),
        ("https://\u00e9..test/x", "cannot be read"),
        ("https://8.8.8.8/\r\nX: y", "cannot be read"),
        ("https://0x7f.1/x", "no public address"),
        ("https://8.8.8.8:99999999/x", "cannot be read"),
        ("https://" + "x" * 9000, "cannot be read"),
    ],
)
async def test_public_host_cannot_send_us_inside(tmp_path: Path, href: str, words: str) -> None:
    pointer = pointer_of(b"content")
    async with host_that(lambda _: saying(pointer, href)) as api:
        with pytest.raises(LargeFilesFailed, match=words):
            await api.fetch({pointer: "x.bin"}, ObjectFolder(tmp_path))


@pytest.mark.parametrize("port", ["99999999", "0", "9" * 30])
async def test_port_that_is_none_is_refused_on_our_own_network_too(tmp_path: Path, port: str) -> None:
    pointer = pointer_of(b"content")
    href = f"https://127.0.0.1:{port}/x"
    async with host_that(lambda _: saying(pointer, href), "http://127.0.0.1:9") as api:
        with pytest.raises(LargeFilesFailed):
            await api.fetch({pointer: "x.bin"}, ObjectFolder(tmp_path))


@pytest.mark.parametrize(
    ("href", "entry", "is_lent"),
    [
        ("https://8.8.8.8/object", {}, True),
        ("https://8.8.8.8/object", {"authenticated": True}, False),
        ("https://8.8.4.4/object", {}, False),
        ("https://8.8.8.8/redirect", {}, False),
    ],
)
async def test_credential_goes_to_the_host_alone(
    tmp_path: Path, href: str, entry: dict[str, Any], *, is_lent: bool
) -> None:
    seen: list[httpx.Headers] = []
    pointer = pointer_of(b"content")

    def answer(request: Request) -> Response:
        if request.method == "POST":
            return saying(pointer, href, **entry)
        if request.url.path == "/redirect":
            return RedirectResponse("https://8.8.4.4/object")
        seen.append(httpx.Headers(request.headers.raw))
        return Response(b"content")

    async with host_that(answer) as api:
        await api.fetch({pointer: "x.bin"}, ObjectFolder(tmp_path))

    [headers] = seen
    assert ("authorization" in headers) is is_lent
    assert headers["host"] != "evil.test"
    assert ("x-signature" in headers) is not href.endswith("redirect")


@pytest.mark.parametrize(
    "answer",
    [
        b"no JSON",
        b"[]",
        b'{"objects": []}',
        b'{"objects": [], "transfer": "tus"}',
        b'{"objects": [{"oid": 1}]}',
    ],
)
async def test_answer_that_cannot_be_read_is_told(tmp_path: Path, answer: bytes) -> None:
    async with host_that(lambda _: Response(answer)) as api:
        with pytest.raises(LargeFilesFailed, match=r"'x\.bin'"):
            await api.fetch({pointer_of(b"x"): "x.bin"}, ObjectFolder(tmp_path))


@pytest.mark.parametrize("path", ["acme/app.git/info/lfs/objects/batch", "object"])
async def test_no_more_is_read_than_can_be_right(tmp_path: Path, path: str) -> None:
    pointer = pointer_of(b"content")

    async def too_much() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 2**16

    async def respond(request: Request) -> Response:
        if request.path_params["path"] == path:
            return StreamingResponse(too_much())
        return saying(pointer, f"{request.base_url}object")

    answers: list[httpx.Response] = []

    async def note(response: httpx.Response) -> None:
        answers.append(response)

    application = Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])
    async with (
        serving(application) as url,
        socket_client(event_hooks={"response": [note]}) as http,
    ):
        api = BatchApi(http, Remote(f"{url}/acme/app"))
        with pytest.raises(LargeFilesFailed, match=r"'x\.bin'"):
            await api.fetch({pointer: "x.bin"}, ObjectFolder(tmp_path))

    assert answers[-1].num_bytes_downloaded < 5 * 2**20
    assert list((tmp_path / "tmp").glob("*")) == []


async def test_repository_that_has_moved_is_followed_on_its_host_only(tmp_path: Path) -> None:
    pointer = pointer_of(b"content")

    def answer(request: Request) -> Response:
        if request.url.path.startswith("/acme"):
            return RedirectResponse("https://8.8.8.8/other/app.git/info/lfs/objects/batch")
        return saying(pointer, "https://8.8.8.8/object") if request.method == "POST" else Response(b"content")

    async with host_that(answer) as api:
        await api.fetch({pointer: "x.bin"}, ObjectFolder(tmp_path))
    async with host_that(lambda _: RedirectResponse("https://8.8.4.4/x")) as api:
        with pytest.raises(LargeFilesFailed, match="redirects to somewhere else"):
            await api.fetch({pointer: "x.bin"}, ObjectFolder(tmp_path))


@asynccontextmanager
async def taking(pointer: Pointer, folder: Path, content: bytes = b"content") -> AsyncIterator[Path]:
    """Yield a file with the content of an object, as whoever stores is given it."""
    file = folder / pointer.oid
    file.write_bytes(content)
    yield file


async def store(api: BatchApi, pointer: Pointer, folder: Path) -> None:
    await api.store({pointer: "x.bin"}, lambda asked: taking(asked, folder))


@pytest.mark.parametrize(
    "header",
    [
        {"X-A": "\u00e9"},
        {"\u00e9": "x"},
        {"X-A": "b\r\nX-C: d"},
        {"X A": "x"},
        {"": "x"},
        {"X-A": "x" * 9000},
    ],
    ids=["value", "name", "line", "space", "empty", "long"],
)
async def test_header_that_is_none_is_told(tmp_path: Path, header: dict[str, str]) -> None:
    pointer, href = pointer_of(b"content"), "https://8.8.8.8/object"
    answer = saying(pointer, href, header, ("download", "upload", "verify"))
    async with host_that(lambda _: answer) as api:
        with pytest.raises(LargeFilesFailed, match="cannot be fetched: its host gave an answer that cannot"):
            await api.fetch({pointer: "x.bin"}, ObjectFolder(tmp_path))
        with pytest.raises(
            LargeFilesFailed, match=r"cannot be stored .* its host gave an answer that cannot"
        ):
            await store(api, pointer, tmp_path)


@pytest.mark.parametrize(
    "location",
    [
        "https://[",
        "//[zz]/",
        "https://xn--/",
        "https://8.8.8.8:99999999/x",
        "https://user:secret@8.8.8.8/x",
        "\u00e9",
        "",
        "ftp://8.8.8.8/x",
        None,
    ],
)
@pytest.mark.parametrize("redirected", ["/acme/app.git/info/lfs/objects/batch", "/object"])
async def test_redirect_to_nowhere_is_told(tmp_path: Path, redirected: str, location: str | None) -> None:
    pointer = pointer_of(b"content")

    def answer(request: Request) -> Response:
        if request.url.path != redirected:
            return saying(pointer, "https://8.8.8.8/object")
        response = Response(status_code=302)
        if location is not None:
            response.raw_headers.append((b"location", location.encode()))
        return response

    async with host_that(answer) as api:
        with pytest.raises(LargeFilesFailed, match=r"'x\.bin'") as caught:
            await api.fetch({pointer: "x.bin"}, ObjectFolder(tmp_path))

    assert "secret" not in caught.value.message
    assert list((tmp_path / "tmp").glob("*")) == []


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("batch", Response(b"no JSON"), "cannot be read"),
        ("batch", JSONResponse({"message": "No\nquota. "}, 507), "answered 507: No"),
        ("batch", JSONResponse({"message": TOKEN}, 400), r"answered 400: \[redacted\]"),
        ("upload", Response(status_code=500), "answered 500"),
        ("upload", RedirectResponse("https://8.8.4.4/x"), "answered 307"),
        ("upload", JSONResponse({"message": 5}, 403), "answered 403"),
        ("upload", JSONResponse({"message": "x" * 2**20}, 403), "answered 403: x"),
        ("verify", JSONResponse({"message": "Not there"}, 404), "answered 404: Not there"),
        ("verify", RedirectResponse("https://8.8.4.4/x"), "redirects to somewhere else"),
    ],
)
async def test_upload_that_does_not_end_well_is_told(
    tmp_path: Path, path: str, answer: Response, words: str
) -> None:
    pointer = pointer_of(b"content")

    def respond(request: Request) -> Response:
        asked = {"PUT": "upload"}.get(request.method, request.url.path.rpartition("/")[2])
        if asked == path:
            return answer
        good = saying(pointer, "https://8.8.8.8/verify", {}, ("upload", "verify"))
        return good if asked == "batch" else Response()

    async with host_that(respond) as api:
        with pytest.raises(LargeFilesFailed, match=words) as caught:
            await store(api, pointer, tmp_path)

    assert caught.value.message.endswith("Nothing was pushed.")
    assert len(caught.value.message) < 1000
    assert TOKEN not in caught.value.message


async def test_header_of_an_action_is_sent_once_in_place_of_ours(tmp_path: Path) -> None:
    pointer, seen = pointer_of(b"content"), []
    header = {
        "content-type": "text/x",
        "ACCEPT": "text/y",
        "user-agent": "theirs",
        "authorization": "Theirs",
        "x-a": "1",
        "X-A": "2",
        "content-length": "1",
        "transfer-encoding": "chunked",
    }

    def answer(request: Request) -> Response:
        if request.url.path.endswith("batch"):
            return saying(pointer, "https://8.8.8.8/object", header, ("upload", "verify"))
        seen.append(request)
        return Response()

    async with host_that(answer) as api:
        await store(api, pointer, tmp_path)

    assert [request.method for request in seen] == ["PUT", "POST"]
    for request in seen:
        assert len(request.headers) == len(set(request.headers))
        asked = {name: request.headers[name] for name in header if name in request.headers}
        assert asked.pop("content-length") != "1"
        assert asked == {
            **dict.fromkeys(("content-type",), "text/x"),
            "ACCEPT": "text/y",
            "user-agent": "theirs",
            "authorization": "Theirs",
            "x-a": "2",
            "X-A": "2",
        }


async def test_host_of_many_objects_is_looked_up_for_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointers = {pointer_of(content): content for content in map(str.encode, map(str, range(40)))}
    looked_up = []

    def look_up(host: str, *arguments: Any, **options: Any) -> Any:
        looked_up.append(host)
        return getaddrinfo(host, *arguments, **options)

    def answer(request: Request) -> Response:
        if request.method == "GET":
            return Response(request.url.path[1:])
        actions = {
            pointer: {"download": {"href": f"https://8.8.4.4/{content.decode()}"}}
            for pointer, content in pointers.items()
        }
        return JSONResponse(
            {"objects": [{"oid": pointer.oid, "actions": action} for pointer, action in actions.items()]}
        )

    getaddrinfo = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with host_that(answer) as api:
        await api.fetch(dict.fromkeys(pointers, "x.bin"), ObjectFolder(tmp_path))

    assert {"8.8.4.4", "8.8.8.8"} == set(looked_up)
    assert len(looked_up) < len(pointers) / 2


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
NO_HEADS = {
    "nothing": b"",
    "other": b"SSH-2.0-host\r\n",
    "length": HEAD + b"Content-Length: x\r\n\r\n",
    "name": HEAD + b"\x00: y\r\n\r\n",
    "location": b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: \xff\x01\r\n\r\n",
}
NO_BODIES = {
    "short": HEAD + b"Content-Length: 100\r\n\r\n{}",
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "packed": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        *((asked, fault) for asked in ("batch", "download", "upload", "verify") for fault in NO_HEADS),
        *((asked, fault) for asked in ("batch", "download") for fault in NO_BODIES),
    ],
)
async def test_answer_that_is_no_http_is_told(tmp_path: Path, asked: str, fault: str) -> None:
    """Over a socket: how such an answer fails is decided below the client that we use."""
    pointer = pointer_of(b"content")
    answers = [(NO_HEADS | NO_BODIES)[fault]]

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(answers.pop(0))
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server, create_http_client() as http:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        if asked == "verify":
            answers.insert(0, HEAD + b"Content-Length: 0\r\n\r\n")
        if asked != "batch":
            operations = ("upload", "verify") if asked == "verify" else (asked,)
            body = bytes(saying(pointer, f"{url}/object", {}, operations).body)
            answers.insert(0, HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        api = BatchApi(http, Remote(f"{url}/acme/app"))
        moving = (
            store(api, pointer, tmp_path)
            if asked in ("upload", "verify")
            else api.fetch({pointer: "x.bin"}, ObjectFolder(tmp_path / "lfs"))
        )
        with pytest.raises(LargeFilesFailed, match=r"'x\.bin'"):
            await moving

    assert answers == []
