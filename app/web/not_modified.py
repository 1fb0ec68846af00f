"""Conditional requests: answers have an entity tag, and a client that sends it back gets 304 (contract 2.9).

Also what else a client says about the form of the answer: its encodings.
"""

import re
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Response
from starlette.datastructures import Headers

from app import __version__
from app.services.views.entity_tags import Held
from app.web.asgi_keys import ORIGINAL_PATH
from app.web.dependencies import call_of
from app.web.pagination import PageRequest
from app.web.responses import Content, Json

IF_NONE_MATCH = "If-None-Match"
# Matches the tags of a list, without `W/`, since tags are compared weakly; skips elements that are no tags.
_TAG = re.compile(r'(?:^|,)[ \t]*(?:W/)?"([!#-~\x80-\xff]*)"[ \t]*(?=,|$)')
_NO_WEIGHT = re.compile(r"\s*q=0(?:\.0{0,3})?\s*", re.IGNORECASE)


async def read_held(request: Request) -> Held:
    """Return the tags of the answers to this request that the client has kept. Call it after the gate."""
    call, scope, headers = call_of(request), request.scope, request.headers
    # Links in the answer begin with the URL. The project's name comes last, because it may contain line breaks.
    basis = (
        str(call.caller.user_id),
        str(call.caller.project.id),
        call.process.store.urls.period(),
        __version__,
        scope["scheme"],
        headers.get("host", ""),
        scope[ORIGINAL_PATH],
        scope["query_string"].decode("latin-1"),
        call.caller.project.name,
    )
    tags = headers.getlist(IF_NONE_MATCH)
    return Held("\n".join(basis).encode(), tags_of(headers) if tags else (), ",".join(tags).strip() == "*")


def tags_of(headers: Headers) -> list[str]:
    """Return the entity tags in a request's `If-None-Match`, without quotes and `W/`: all are compared weakly."""
    return _TAG.findall(",".join(headers.getlist(IF_NONE_MATCH)))


def encodings_of(headers: Headers) -> set[str]:
    """Return the names in a request's `Accept-Encoding`, without those that it excludes."""
    items = (item.partition(";") for item in headers.get("accept-encoding", "").split(","))
    return {name.strip().lower() for name, _, weight in items if not _NO_WEIGHT.fullmatch(weight)}


HeldDep = Annotated[Held, Depends(read_held)]


def conditional(found: tuple[str, Content | None]) -> Json[Content]:
    """Return the response with a tag and content; with 304 and no body if the content is None."""
    tag, content = found
    # A weak tag, since the order of keys may differ.
    headers = {"ETag": f'W/"{tag}"'}
    if content is None:
        return cast("Json[Content]", Response(status_code=304, headers=headers))
    return Json(content, headers=headers)


def conditional_page(page: PageRequest, found: tuple[str, tuple[int, list[Any]] | None]) -> Json[Any]:
    """Return the response with a tag and a page of a list; with 304 and no body if there is no page."""
    tag, rows = found
    return conditional((tag, None if rows is None else page.page(*rows)))


def encoded(headers: Headers, plain: bytes, compressed: bytes, tag: str) -> Response:
    """Return the response with this JSON document as the client accepts it, or 304 if the client has it already."""
    # A weak tag, since both encodings share it.
    sent = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding", "ETag": f'W/"{tag}"'}
    if tag in tags_of(headers):
        return Response(status_code=304, headers=sent)
    if "gzip" not in encodings_of(headers):
        return Response(plain, media_type="application/json", headers=sent)
    sent["Content-Encoding"] = "gzip"
    return Response(compressed, media_type="application/json", headers=sent)
