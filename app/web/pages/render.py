"""Render HTML pages to responses: every text is escaped, and a page may load no other resource."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Response
from starlette.responses import HTMLResponse

_FOLDER = Path(__file__).parent

# Headers of every answer with an action token in its URL.
PRIVATE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


def render(page: Any, *, status: int = 200) -> Response:
    """Return an HTML response: the template `page.html`, which all pages share, filled with the data `page`."""
    template, css, policy = _load_template()
    return HTMLResponse(
        template.render(page=page, css=css), status, headers={"Content-Security-Policy": policy}
    )


@cache
def _load_template() -> tuple[Any, str, str]:
    from mako.template import Template  # noqa: PLC0415 - expensive, and most processes render no page

    template = Template(  # noqa: S702 - every expression is escaped
        filename=str(_FOLDER / "page.html"),
        imports=["from app.web.pages.question import visible"],
        default_filters=["visible", "h"],
        strict_undefined=True,
    )
    css = (_FOLDER / "page.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return template, css, policy
