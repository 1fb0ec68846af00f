"""Responses with the log of a run: their published form, and their headers (contract 6.4)."""

import time
from typing import Annotated, Any

from fastapi import Depends

from app.services.run_log.log import LogPage
from app.services.run_log.log_writer import CONTENT_TYPE

TEXT = "text/plain"
WHOLE_LOG: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The log, one JSON object per line.",
        # Text first: Swagger UI requests the first type, and cannot show JSON lines. Generators read it too.
        "content": {TEXT: {"schema": {"type": "string"}}, CONTENT_TYPE: {"schema": {"type": "string"}}},
    }
}
_COUNTS = {
    "X-Total-Count": "Number of entries in the log.",
    "X-Matching-Count": "Number of entries that pass the filters.",
    "X-Filtered-Count": "The same number as `X-Matching-Count`.",
}
LOG_PAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of log entries, oldest first.",
        "headers": {
            **{
                name: {"description": meaning, "schema": {"type": "integer"}}
                for name, meaning in _COUNTS.items()
            },
            "X-Has-More": {
                "description": "`true` if more matching entries follow: continue at `offset` plus the number of "
                "entries on this page.",
                "schema": {"type": "string", "enum": ["true", "false"]},
            },
        },
    }
}


class Timer:
    """Measures the time that a request takes, for the header `Server-Timing` of its response."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def header(self, name: str) -> dict[str, str]:
        """Return the header `Server-Timing` with the milliseconds since the timer was created, as the metric `name`."""
        milliseconds = (time.perf_counter() - self._started) * 1000
        return {"Server-Timing": f"{name};dur={milliseconds:.1f}"}


async def _timer() -> Timer:
    return Timer()


TimerDep = Annotated[Timer, Depends(_timer)]


def headers_of_page(page: LogPage, offset: int) -> dict[str, str]:
    """Return the response headers for a page of log entries that begins at `offset`.

    They give the number of all entries, the number of entries that match the query, and whether more matching entries
    follow this page.
    """
    return {
        "X-Total-Count": str(page.total),
        "X-Filtered-Count": str(page.matching),
        "X-Matching-Count": str(page.matching),
        "X-Has-More": "true" if page.matching > offset + len(page.entries) else "false",
        "Cache-Control": "no-cache",
    }
