"""The response to `GET /openapi.json`: built once, compressed once, with an ETag."""

import gzip
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import orjson
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import Response

_NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class _Published:
    plain: bytes
    compressed: bytes
    tag: str


def publish(app: FastAPI, root_path: str, headers: Headers) -> Response:
    """Return the response to `GET /openapi.json`, compressed with gzip if the client accepts that.

    Its status is 304 if the client has the current document already, by its ETag. `root_path` is the path prefix under
    which a proxy serves the API. `headers` are those of the request.
    """
    published = _encode(app, root_path)
    answer = {
        # Weak: the same for both encodings.
        "ETag": f'W/"{published.tag}"',
        "Cache-Control": "no-cache",  # cache it, and revalidate each time
        "Vary": "Accept-Encoding",
    }
    if published.tag in headers.get("if-none-match", ""):
        return Response(status_code=_NOT_MODIFIED, headers=answer)
    body = published.plain
    if _takes_gzip(headers):
        body = published.compressed
        answer["Content-Encoding"] = "gzip"
    return Response(body, media_type="application/json", headers=answer)


@lru_cache(maxsize=4)
def _encode(app: FastAPI, root_path: str) -> _Published:
    document = app.openapi()
    if root_path:
        document = {**document, "servers": [{"url": root_path}]}
    plain = orjson.dumps(document)
    return _Published(plain, gzip.compress(plain, mtime=0), sha256(plain).hexdigest()[:32])


def _takes_gzip(headers: Headers) -> bool:
    for part in headers.get("accept-encoding", "").split(","):
        name, _, weight = part.partition(";")
        if name.strip().lower() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
