"""The client of the batch API, over a socket: what it believes of a host, and what it tells."""

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

from app.agents.askpass import Credential
from app.agents.errors import LargeFilesFailed
from app.agents.git import TOKEN_USER, Remote
from app.agents.lfs.batch import BatchApi
from app.agents.lfs.objects import ObjectFolder, Pointer
from app.clients.http_client import create_http_client
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


def saying(pointer: Pointer, href: str, **entry: Any) -> JSONResponse:
    actions = {"download": {"href": href, "header": {"X-Signature": "s", "Host": "evil.test"}}}
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
        httpx.AsyncClient(event_hooks={"response": [note]}) as http,
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
