"""Routes of the OpenAPI document and of Swagger UI, which loads nothing from other servers."""

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from app.web.console.files import find_start
from app.web.dependencies import root_of
from app.web.not_modified import encoded
from app.web.openapi.document import EXPLORER_SCRIPT, encode_document, render_explorer

router = APIRouter()


@router.get("/", include_in_schema=False)
async def begin(request: Request) -> RedirectResponse:
    """Redirect from the base URL to the console, or to Swagger UI if the console is not built."""
    return RedirectResponse(find_start(request))


@router.get("/openapi.json", include_in_schema=False)
async def describe(request: Request) -> Response:
    """Return the OpenAPI document, compressed with gzip if the client accepts that.

    If the client has the current document already, by its ETag, the response has the status 304 and no body.
    """
    plain, compressed, tag = encode_document(request.app, root_of(request))
    return encoded(request.headers, plain, compressed, tag)


@router.get("/docs", include_in_schema=False)
async def explore(request: Request) -> HTMLResponse:
    """Return the HTML page of Swagger UI, which shows the OpenAPI document of this service."""
    return render_explorer(request)


@router.get("/docs/explorer.js", include_in_schema=False)
async def explorer() -> FileResponse:
    """Return the script that starts Swagger UI."""
    return FileResponse(EXPLORER_SCRIPT, media_type="text/javascript")


# The files come from a package, whose application class would add unwanted routes and pages.
router.mount("/docs/static", StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-static")
