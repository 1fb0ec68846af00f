"""A local stand-in for Expo's push service and a receiver of webhooks: it shows all messages on one page.

`/pushes` has the pushes as JSON, `/webhooks` the webhooks, which it takes there. Run as `python -m
app.devstack.expo_sink PORT API_URL`. It keeps the last messages in memory only. It must stay small, and has only the
parts of Expo's protocol that a sender needs (send, receipts, error tickets for invalid tokens).
"""

import html
import json
import re
import sys
import zlib
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from app.clock import utcnow
from app.ids import new_id

_KEPT_MESSAGES = 200
_MESSAGES_PER_REQUEST = 100
_BODY_BYTES = 1_000_000
_GZIP = 16 + zlib.MAX_WBITS
_SHOWN_CHARACTERS = 2_000
_TOKEN = re.compile(r"Expo(nent)?PushToken\[[^\]]+\]")
_PAGE = """<!doctype html><meta charset="utf-8"><title>Pushes</title>
<style>body{{font:15px/1.5 system-ui;margin:2rem}}table{{table-layout:fixed;width:100%}}td,th{{text-align:left;
padding:.3rem .8rem;vertical-align:top;border-top:1px solid #ddd;overflow-wrap:anywhere}}th:first-child,.narrow{{width:5rem}}
</style>
<h1>Pushes</h1><p>What phones would get from this development stack; the newest first. The last {kept} are kept,
in memory only: a restart of the stack forgets them.</p>
<table><tr><th>at</th><th>to</th><th>title</th><th>body</th><th class="narrow">buttons</th><th>data</th></tr>{rows}</table>
<h1>Webhooks</h1><p>What came to <code>/webhooks</code>; the newest first, in memory only.</p>
<table><tr><th>at</th><th>id</th><th>type</th><th>body</th></tr>{webhooks}</table>"""


def create_app(api_url: str) -> Starlette:
    """Return a web application that stands in for Expo's push service, and that also receives webhooks."""
    pushes: deque[dict[str, Any]] = deque(maxlen=_KEPT_MESSAGES)
    webhooks: deque[dict[str, Any]] = deque(maxlen=_KEPT_MESSAGES)

    async def send(request: Request) -> Response:
        content = await _json_body(request)
        messages = content if isinstance(content, list) else [content]
        if not messages or not all(isinstance(message, dict) and message.get("to") for message in messages):
            return _refusal("VALIDATION_ERROR", 'Each message needs a "to".')
        recipients = [(message, token) for message in messages for token in _recipients(message)]
        if len(recipients) > _MESSAGES_PER_REQUEST:
            return _refusal(
                "PUSH_TOO_MANY_NOTIFICATIONS", f"At most {_MESSAGES_PER_REQUEST} messages per request."
            )
        tickets = [_accept(pushes, message, token) for message, token in recipients]
        # Like Expo: a single message, not in a list, gets a single ticket.
        return JSONResponse(
            {"data": tickets[0] if isinstance(content, dict) and len(tickets) == 1 else tickets}
        )

    async def receipts(request: Request) -> Response:
        content = await _json_body(request)
        ids = content.get("ids") if isinstance(content, dict) else None
        if not isinstance(ids, list):
            return _refusal("VALIDATION_ERROR", '"ids" must be a list.')
        known = {push["id"] for push in pushes}
        return JSONResponse({"data": {i: {"status": "ok"} for i in ids if isinstance(i, str) and i in known}})

    async def page(_: Request) -> Response:
        rows = "".join(_push_row(push, api_url) for push in reversed(pushes))
        messages = "".join(map(_webhook_row, reversed(webhooks)))
        return HTMLResponse(_PAGE.format(kept=_KEPT_MESSAGES, rows=rows, webhooks=messages))

    async def read(_: Request) -> Response:
        return JSONResponse(list(pushes))

    return Starlette(
        routes=[
            Route("/--/api/v2/push/send", send, methods=["POST"]),
            Route("/--/api/v2/push/getReceipts", receipts, methods=["POST"]),
            Route("/", page),
            Route("/pushes", read),
            *_webhook_routes(webhooks),
        ]
    )


def _webhook_routes(webhooks: deque[dict[str, Any]]) -> list[Route]:
    async def take_webhook(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        at, text = f"{utcnow():%H:%M:%S}", body.decode(errors="replace")
        webhooks.append({"at": at, "headers": dict(request.headers), "body": text})
        return Response(status_code=204)

    async def read_webhooks(_: Request) -> Response:
        return JSONResponse(list(webhooks))

    return [Route("/webhooks", take_webhook, methods=["POST"]), Route("/webhooks", read_webhooks)]


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES:
            return None
    return bytes(body)


async def _json_body(request: Request) -> Any:  # Any: whatever JSON holds; callers check
    body = await _body(request) or b""
    try:
        return json.loads(_decompress(body) if request.headers.get("content-encoding") == "gzip" else body)
    except (ValueError, zlib.error):
        return None


def _decompress(body: bytes | bytearray) -> bytes:
    return zlib.decompressobj(wbits=_GZIP).decompress(body, _BODY_BYTES)


def _recipients(message: dict[str, Any]) -> list[str]:
    to = message["to"]
    return [str(token) for token in to] if isinstance(to, list) else [str(to)]


def _accept(pushes: deque[dict[str, Any]], message: dict[str, Any], token: str) -> dict[str, Any]:
    if not _TOKEN.fullmatch(token):
        return {
            "status": "error",
            "message": f'"{token}" is not a valid Expo push token',
            "details": {"error": "DeviceNotRegistered"},
        }
    given = {"to": token, "title": message.get("title") or "", "body": message.get("body") or ""}
    texts = {name: str(text)[:_SHOWN_CHARACTERS] for name, text in given.items()}
    data = message.get("data")
    push = {
        "id": str(new_id()),
        "at": utcnow().isoformat(),
        **texts,
        "data": data if isinstance(data, dict) else {},
    }
    pushes.append(push)
    return {"status": "ok", "id": push["id"]}


def _refusal(code: str, message: str) -> Response:
    return JSONResponse({"errors": [{"code": code, "message": message}]}, status_code=400)


def _push_row(push: dict[str, Any], api_url: str) -> str:
    buttons = [button for button in _list(push["data"].get("actions")) if _has_token(button)]
    rest = {name: value for name, value in push["data"].items() if name != "actions" or not buttons}
    data = json.dumps(rest)[:_SHOWN_CHARACTERS] if rest else ""
    time = f"{datetime.fromisoformat(push['at']):%H:%M:%S}"
    cells = [html.escape(cell) for cell in (time, push["to"], push["title"], push["body"], data)]
    cells.insert(-1, "<br>".join(_link(button, api_url) for button in buttons))
    return _row(cells)


def _webhook_row(message: dict[str, Any]) -> str:
    try:
        content = json.loads(message["body"])
    except ValueError:
        content = None
    kind = str(content.get("type", "")) if isinstance(content, dict) else ""
    id_, text = message["headers"].get("webhook-id", ""), message["body"][:_SHOWN_CHARACTERS]
    return _row([html.escape(cell) for cell in (message["at"], id_, kind, text)])


def _row(cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _list(value: Any) -> list[Any]:  # Any: JSON
    return value if isinstance(value, list) else []


def _has_token(button: Any) -> bool:  # Any: JSON
    return isinstance(button, dict) and isinstance(button.get("token"), str)


def _link(button: dict[str, Any], api_url: str) -> str:
    page = f"{api_url}/a/{quote(button['token'], safe='')}"
    title = str(button.get("title") or button.get("id") or "Answer")[:_SHOWN_CHARACTERS]
    return f'<a href="{html.escape(page)}" rel="noreferrer">{html.escape(title)}</a>'


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
