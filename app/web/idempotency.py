"""Handle `Idempotency-Key`: a repeated request is performed once, and gets the first response for a day."""

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request

from app.db import undivided
from app.errors import InvalidInput, too_long
from app.services.access.principal import Principal
from app.services.access.usage_gates import GatedWork
from app.services.idempotency import StoredResponse, claim_key, find_response, store_response
from app.web.body import read_json
from app.web.credentials import CREDENTIAL
from app.web.dependencies import Call, call_of
from app.web.responses import Content, Json, json_by

Result = TypeVar("Result")

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
_MAX_KEY_LENGTH = 255


class Once:
    """Performs a request once for its Idempotency-Key. A repetition of the request gets the stored response."""

    def __init__(self, request: Request, call: Call, key: str) -> None:
        self._request = request
        self._call = call
        self._key = key

    async def __call__(
        self, work: Callable[[], Awaitable[Content]] | GatedWork[Content], *, status_code: int = 200
    ) -> Json[Content]:
        """Return the result of `work`, or the response stored with its effect; `work` cannot commit."""
        allowance = None
        if isinstance(work, GatedWork):
            allowance, work = work.allowance, work.work
        return await self._perform(work, partial(Json, status_code=status_code), allowance)

    async def json_by(
        self, work: Callable[[], Awaitable[tuple[Content, bool]]], *, yes: int, no: int
    ) -> Json[Content]:
        """Do as a call, for `work` that returns (content, flag): the status is `yes` if the flag is true, else `no`."""
        return await self._perform(work, partial(json_by, yes=yes, no=no))

    async def _perform(
        self,
        work: Callable[[], Awaitable[Result]],
        respond: Callable[[Result], Json[Content]],
        first: Callable[[], Awaitable[None]] | None = None,
    ) -> Json[Content]:
        session, caller = self._call.session, self._call.caller
        if not self._key:
            if first is not None:
                await first()
            with undivided(session):
                return respond(await work())
        request_hash = await _hash(self._request, caller)
        if first is not None:
            kept = await find_response(session, caller, self._key, request_hash=request_hash)
            if kept is not None:
                return _replay(kept)
            await first()
        kept = await claim_key(session, caller, self._key, request_hash=request_hash)
        if kept is not None:
            return _replay(kept)
        with undivided(session):
            response = respond(await work())
        body = response.encode(self._request.scope)
        await store_response(session, caller, self._key, StoredResponse(response.status_code, body))
        return response


def _replay(kept: StoredResponse) -> Json[Any]:
    assert kept.status, "the key was committed without its response"
    return Json(None, status_code=kept.status, headers={REPLAYED_HEADER: "true"}, encoded=kept.body)


async def _hash(request: Request, caller: Principal) -> str:
    # A path may name a project in two ways, and begins with the root path.
    route = request.scope["route"].path.split("/")
    path = request.scope["path"].split("/")
    path[route.index("{project_id}") - len(route)] = str(caller.project.id)
    body = await read_json(request)
    if isinstance(body, dict):
        # The place of the credential does not change the request.
        body = {name: value for name, value in body.items() if name != CREDENTIAL}
    parts = [request.method, "/".join(path).lower(), body]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def read_key(request: Request) -> Once:
    """Return the `Once` of a request; a dependency that runs after the one that authorises the caller."""
    text = request.headers.get(HEADER, "").strip()
    if len(text) > _MAX_KEY_LENGTH:
        raise too_long(_MAX_KEY_LENGTH, attr=HEADER)
    if not text.isprintable():
        raise InvalidInput("Not a valid string.", attr=HEADER)
    return Once(request, call_of(request), text)


OnceDep = Annotated[Once, Depends(read_key)]
