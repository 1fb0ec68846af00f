"""The console itself: pages and files for browsers (contract 17)."""

from fastapi import APIRouter, Request, Response

from app.web.console.files import send_file

router = APIRouter(prefix="/console", include_in_schema=False)


@router.get("")
async def open_console(request: Request) -> Response:
    """Send the page."""
    return send_file(request, "")


@router.get("/{path:path}")
async def open_path(request: Request, path: str) -> Response:
    """Send a file, or the page, which reads the rest of the path itself."""
    return send_file(request, path)
