"""Routes of the OpenAPI document and of Swagger UI, which loads nothing from other servers."""

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from app.web.console.files import is_built
from app.web.openapi.published import publish

# The page may load from this service only. Swagger UI needs inline styles and an inline script.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; worker-src blob:; connect-src 'self'"
)

_EXPLORER = {
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
    return RedirectResponse(f"{_root(request)}{'/console' if is_built() else '/docs'}")


@router.get("/openapi.json", include_in_schema=False)
async def describe(request: Request) -> Response:
    """Return the OpenAPI document, compressed with gzip if the client accepts that.

    If the client has the current document already, by its ETag, the response has the status 304 and no body.
    """
    return publish(request.app, _root(request), request.headers)


@router.get("/docs", include_in_schema=False)
async def explore(request: Request) -> HTMLResponse:
    """Return the HTML page of Swagger UI, which shows the OpenAPI document of this service."""
    root = _root(request)
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{root}/docs/static/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/static/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/static/favicon.png",
        swagger_ui_parameters=_EXPLORER,
    )
    page.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    return page


def _root(request: Request) -> str:
    """Return the path prefix under which a proxy serves this application."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


# The files come from a package; its application class is not used, since it would add unwanted routes and pages.
router.mount("/docs/static", StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-static")
