"""Routes of the OpenAPI document and of Swagger UI, which loads nothing from other servers."""

import json
from html import escape

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from app.web.console.files import find_build
from app.web.not_modified import encoded
from app.web.openapi.document import encode_document

# The page may load from this service only.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; worker-src blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{root}/docs/static/swagger-ui.css">
<link rel="icon" href="{root}/docs/static/favicon.png">
<div id="swagger-ui"></div>
<script src="{root}/docs/static/swagger-ui-bundle.js"></script>
<script src="{root}/docs/explorer.js" data-document="{root}/openapi.json"></script>
</html>
"""

_EXPLORER = {
    "dom_id": "#swagger-ui",
    "deepLinking": True,
    "showExtensions": True,
    "showCommonExtensions": True,
    "persistAuthorization": True,
    "tryItOutEnabled": True,
    "displayRequestDuration": True,
    "filter": True,
    "defaultModelsExpandDepth": 0,
    # The badge of an outside validator.
    "validatorUrl": None,
}

router = APIRouter()


@router.get("/", include_in_schema=False)
async def begin(request: Request) -> RedirectResponse:
    """Redirect from the base URL to the console, or to Swagger UI if the console is not built."""
    return RedirectResponse(f"{_root(request)}{'/console' if find_build(request) else '/docs'}")


@router.get("/openapi.json", include_in_schema=False)
async def describe(request: Request) -> Response:
    """Return the OpenAPI document, compressed with gzip if the client accepts that.

    If the client has the current document already, by its ETag, the response has the status 304 and no body.
    """
    plain, compressed, tag = encode_document(request.app, _root(request))
    return encoded(request.headers, plain, compressed, tag)


@router.get("/docs", include_in_schema=False)
async def explore(request: Request) -> HTMLResponse:
    """Return the HTML page of Swagger UI, which shows the OpenAPI document of this service."""
    page = _PAGE.format(title=escape(request.app.title), root=escape(_root(request)))
    return HTMLResponse(page, headers={"Content-Security-Policy": _CONTENT_SECURITY_POLICY})


@router.get("/docs/explorer.js", include_in_schema=False)
async def explorer() -> Response:
    """Return the script that starts Swagger UI. It is no part of the page, whose policy refuses inline scripts."""
    script = (
        f"SwaggerUIBundle({{...{json.dumps(_EXPLORER)}, url: document.currentScript.dataset.document}});\n"
    )
    return Response(script, media_type="text/javascript")


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


# The files come from a package; its application class is not used, since it would add unwanted routes and pages.
router.mount("/docs/static", StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-static")
