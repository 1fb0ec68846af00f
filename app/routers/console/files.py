"""Routes that send the console's page and files to browsers (contract 17)."""

from fastapi import APIRouter, Request, Response

from app.web.console.files import send_file

router = APIRouter(prefix="/console", include_in_schema=False)


@router.get("")
async def open_console(request: Request) -> Response:
    """Return the HTML page of the console for the path `/console`."""
    return send_file(request, "")


@router.get("/{path:path}")
async def open_path(request: Request, path: str) -> Response:
    """Return the file of the console at a path below `/console`, or the console's HTML page if there is no file."""
    return send_file(request, path)
