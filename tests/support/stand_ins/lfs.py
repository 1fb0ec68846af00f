"""The Git LFS part of a code host for tests: the batch API, and the objects behind URLs that are signed."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.agents.git.large_files import find_git_lfs
from app.agents.git.pointers import Pointer
from app.ids import new_hex_id

needs_git_lfs = pytest.mark.skipif(find_git_lfs(os.environ) is None, reason="git-lfs is not installed")
ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n"


def pointer_of(content: bytes) -> Pointer:
    return Pointer(hashlib.sha256(content).hexdigest(), len(content))


@dataclass(slots=True)
class LargeFileService:
    """The contents of the host, the requests it saw, and how it is to behave."""

    objects: dict[str, bytes] = field(default_factory=dict)
    verified: list[str] = field(default_factory=list)
    # Of requests for objects: method, id, and whether they came with a credential.
    requests: list[tuple[str, str, bool]] = field(default_factory=list)
    # What uploads get in place of being taken.
    refusal: tuple[int, str] | None = None
    # Where the host says that objects are; None: here.
    elsewhere: str | None = None
    is_authenticated: bool = True  # whether objects can be had without a credential
    signature: str = field(default_factory=new_hex_id)

    def hold(self, content: bytes) -> Pointer:
        pointer = pointer_of(content)
        self.objects[pointer.oid] = content
        return pointer


class _Host(Protocol):
    tokens: dict[str, str]
    large_files: LargeFileService

    def login_of(self, headers: Mapping[str, str]) -> str | None: ...


def large_file_routes(host: _Host) -> list[Route]:
    """Return the routes of the Git LFS batch API and of the objects."""
    api = _Api(host)
    return [
        Route("/{owner}/{name}.git/info/lfs/objects/batch", api.batch, methods=["POST"]),
        Route("/large-files/{oid}", api.one, methods=["GET", "PUT"]),
        Route("/large-files/{oid}/verify", api.verify, methods=["POST"]),
    ]


class _Api:
    def __init__(self, host: _Host) -> None:
        self._host = host
        self._service = host.large_files

    async def batch(self, request: Request) -> Response:
        if self._host.login_of(request.headers) is None:
            return JSONResponse({"message": "Credentials needed"}, 401)
        wanted = await request.json()
        entries = [self._entry(request, wanted["operation"], each) for each in wanted["objects"]]
        return JSONResponse(
            {"transfer": "basic", "objects": entries}, media_type="application/vnd.git-lfs+json"
        )

    def _entry(self, request: Request, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        service, oid = self._service, asked["oid"]
        place = f"{service.elsewhere or str(request.base_url).rstrip('/')}/large-files/{oid}"
        action = {"href": f"{place}?signed=yes", "header": {"X-Signature": service.signature}}
        if operation == "download" and oid not in service.objects:
            return {**asked, "error": {"code": 404, "message": "Object does not exist on the server"}}
        if operation == "download":
            return {**asked, "authenticated": service.is_authenticated, "actions": {"download": action}}
        if oid in service.objects:
            return {**asked, "authenticated": service.is_authenticated}
        verify = {**action, "href": f"{place}/verify"}
        return {
            **asked,
            "authenticated": service.is_authenticated,
            "actions": {"upload": action, "verify": verify},
        }

    async def one(self, request: Request) -> Response:
        service, oid = self._service, request.path_params["oid"]
        service.requests.append((request.method, oid, "authorization" in request.headers))
        if request.headers.get("x-signature") != service.signature:
            return JSONResponse({"message": "Not signed"}, 403)
        if request.method == "GET":
            return Response(service.objects[oid], media_type="application/octet-stream")
        if service.refusal is not None:
            return JSONResponse({"message": service.refusal[1]}, service.refusal[0])
        if "content-length" not in request.headers:  # as object stores do
            return JSONResponse({"message": "Length Required"}, 411)
        service.objects[oid] = await request.body()
        return Response(status_code=200)

    async def verify(self, request: Request) -> Response:
        asked = await request.json()
        if len(self._service.objects.get(asked["oid"], b"")) != asked["size"]:
            return JSONResponse({"message": "Not there"}, 404)
        self._service.verified.append(asked["oid"])
        return Response(status_code=200)
