"""Send the files of the console, which `make console` builds into the folder `dist` (contract 17.8)."""

import os
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.responses import FileResponse, HTMLResponse

from app.config import Settings
from app.errors import NotFound
from app.web.dependencies import process_of, root_of
from app.web.not_modified import encodings_of, tags_of

FOLDER = Path(__file__).with_name("dist")

_INDEX = "index.html"
# The names of files in this folder contain a hash of their content.
_HASHED = "assets/"
_IMMUTABLE = "public, max-age=31536000, immutable"
_CHECKED = "no-cache"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_NOT_BUILT = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Taskbeacon</title>
<h1>The console is not built</h1>
<p>Run <code>make console</code> in the checkout, then load this page again. It needs the network once.</p>
<p>The API does not need the console: its description is at <a href="docs">/docs</a>.</p>
</html>
"""


def find_build(request: Request) -> Path | None:
    folder: Path = request.app.state.console
    return folder if (folder / _INDEX).is_file() else None


def find_start(request: Request) -> str:
    """Return the path of the console, or that of Swagger UI if the console is not built."""
    return root_of(request) + ("/console" if find_build(request) else "/docs")


def send_file(request: Request, path: str) -> Response:
    policy = content_security_policy(process_of(request).settings)
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    if (folder := find_build(request)) is None:
        return HTMLResponse(_NOT_BUILT, 404, headers={**headers, "Cache-Control": "no-store"})
    found = _find(folder, path)
    if found is None and path.startswith(_HASHED):
        raise NotFound
    name = path if found else _INDEX
    headers["Cache-Control"] = _IMMUTABLE if name.startswith(_HASHED) else _CHECKED
    headers["Vary"] = "Accept-Encoding"
    file, encoding = _variant(folder / name, encodings_of(request.headers))
    if encoding:
        headers["Content-Encoding"] = encoding
    kind = _TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
    response = FileResponse(file, headers=headers, media_type=kind, stat_result=file.stat())
    if response.headers["etag"].strip('"') in tags_of(request.headers):
        kept = {"etag": response.headers["etag"], **headers}
        kept.pop("Content-Encoding", None)
        return Response(status_code=304, headers=kept)
    return response


def _find(folder: Path, path: str) -> Path | None:
    if not path or "\0" in path:
        return None
    file = Path(os.path.normpath(folder / path))
    if not file.is_relative_to(folder):
        return None
    try:
        return file if file.is_file() else None
    except OSError:
        # The file system refuses a name that is too long.
        return None


def _variant(file: Path, taken: Collection[str]) -> tuple[Path, str]:
    for encoding, suffix in _ENCODINGS:
        compressed = file.with_name(file.name + suffix)
        if encoding in taken and compressed.is_file():
            return compressed, encoding
    return file, ""


def content_security_policy(settings: Settings) -> str:
    """Return the Content-Security-Policy of the console. It allows only the console's files and the object storage."""
    store = _store(settings.s3_signing_endpoint_url, settings.s3_bucket, settings.s3_region)
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob: {store}; "
        f"connect-src 'self' {store}; font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


@lru_cache(maxsize=16)
def _store(endpoint: str | None, bucket: str, region: str) -> str:
    if endpoint is None:
        host = f"s3.{region}.amazonaws.com"
        return f"https://{host} https://{bucket}.{host} https://{bucket}.s3.amazonaws.com"
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"
