"""The webhook receiver of the local sink: it accepts every POST and shows the message next to the pushes."""

import html
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.clock import utcnow

_KEPT_MESSAGES = 200
_BODY_BYTES = 1_000_000
_SHOWN_CHARACTERS = 2_000
_TABLE = """<h1>Webhooks</h1><p>What came to <code>/webhooks</code>; the newest first, in memory only.</p>
<table><tr><th>at</th><th>id</th><th>type</th><th>body</th></tr>{rows}</table>"""


@dataclass(frozen=True, slots=True)
class _Message:
    at: str
    headers: dict[str, str]
    body: str

    @property
    def type(self) -> str:
        try:
            content = json.loads(self.body)
        except ValueError:
            return ""
        return str(content.get("type", "")) if isinstance(content, dict) else ""


class WebhookSink:
    """A webhook receiver for development. It stores the last messages in memory only, and shows them on a page."""

    def __init__(self) -> None:
        self._messages: deque[_Message] = deque(maxlen=_KEPT_MESSAGES)

    @property
    def routes(self) -> Sequence[Route]:
        """The HTTP routes of the receiver: POST stores a webhook message, GET returns the stored messages as JSON."""
        return [
            Route("/webhooks", self._take, methods=["POST"]),
            Route("/webhooks", self._list, methods=["GET"]),
        ]

    def table(self) -> str:
        """Return the stored webhook messages as an HTML fragment, the newest first."""
        return _TABLE.format(rows="".join(map(_row, reversed(self._messages))))

    async def _take(self, request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_BYTES:
                return Response(status_code=413)
        text = body.decode(errors="replace")
        self._messages.append(_Message(f"{utcnow():%H:%M:%S}", dict(request.headers), text))
        return Response(status_code=204)

    async def _list(self, _: Request) -> Response:
        return JSONResponse([asdict(message) for message in self._messages])


def _row(message: _Message) -> str:
    cells = (
        message.at,
        message.headers.get("webhook-id", ""),
        message.type,
        message.body[:_SHOWN_CHARACTERS],
    )
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
