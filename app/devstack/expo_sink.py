"""A local stand-in for Expo's push service and a receiver of webhooks: it shows all messages on one page.

`/pushes` has the pushes as JSON, `/webhooks` the webhooks, which it takes there. Run as `python -m
app.devstack.expo_sink PORT API_URL`. It keeps the last messages in memory only. It must stay small, and has only the
parts of Expo's protocol that this service uses (lists of messages, receipts, error tickets for invalid tokens).
"""

import gzip
import html
import json
import re
import sys
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any  # JSON
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from app.clock import utcnow
from app.ids import new_id
from app.json_types import JsonDict

_KEPT_MESSAGES = 200
_TOKEN = re.compile(r"Expo(nent)?PushToken\[[^\]]+\]")
_PAGE = """<!doctype html><meta charset="utf-8"><title>Pushes</title>
<style>body{{font:15px/1.5 system-ui;margin:2rem}}table{{table-layout:fixed;width:100%}}td,th{{text-align:left;
padding:.3rem .8rem;vertical-align:top;border-top:1px solid #ddd;overflow-wrap:anywhere}}
th:first-child,.narrow{{width:5rem}}
</style>
<h1>Pushes</h1><p>What phones would get from this development stack; the newest first. The last {kept} are kept,
in memory only: a restart of the stack forgets them.</p>
<table><tr><th>at</th><th>to</th><th>title</th><th>body</th><th class="narrow">buttons</th><th>data</th></tr>
{rows}</table>
<h1>Webhooks</h1><p>What came to <code>/webhooks</code>; the newest first, in memory only.</p>
<table><tr><th>at</th><th>id</th><th>body</th></tr>{webhooks}</table>"""


def create_app(api_url: str) -> Starlette:
    """Return a web application that stands in for Expo's push service, and that also receives webhooks."""
    pushes: deque[JsonDict] = deque(maxlen=_KEPT_MESSAGES)
    webhooks: deque[JsonDict] = deque(maxlen=_KEPT_MESSAGES)

    async def send(request: Request) -> Response:
        return JSONResponse({"data": [_accept(pushes, message) for message in await _json(request)]})

    async def receipts(request: Request) -> Response:
        known = {push["id"] for push in pushes}
        ids = (await _json(request))["ids"]
        return JSONResponse({"data": {id_: {"status": "ok"} for id_ in ids if id_ in known}})

    async def take_webhook(request: Request) -> Response:
        text = (await request.body()).decode(errors="replace")
        webhooks.append({"at": f"{utcnow():%H:%M:%S}", "headers": dict(request.headers), "body": text})
        return Response(status_code=204)

    async def page(_: Request) -> Response:
        rows = "".join(_push_row(push, api_url) for push in reversed(pushes))
        messages = "".join(map(_webhook_row, reversed(webhooks)))
        return HTMLResponse(_PAGE.format(kept=_KEPT_MESSAGES, rows=rows, webhooks=messages))

    async def read(request: Request) -> Response:
        return JSONResponse(list(webhooks if request.url.path == "/webhooks" else pushes))

    return Starlette(
        routes=[
            Route("/--/api/v2/push/send", send, methods=["POST"]),
            Route("/--/api/v2/push/getReceipts", receipts, methods=["POST"]),
            Route("/", page),
            Route("/pushes", read),
            Route("/webhooks", take_webhook, methods=["POST"]),
            Route("/webhooks", read),
        ]
    )


async def _json(request: Request) -> Any:
    body = await request.body()
    return json.loads(gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body)


def _accept(pushes: deque[JsonDict], message: JsonDict) -> JsonDict:
    if not _TOKEN.fullmatch(message["to"]):
        return {
            "status": "error",
            "message": f'"{message["to"]}" is not a valid Expo push token',
            "details": {"error": "DeviceNotRegistered"},
        }
    push = {"id": str(new_id()), "at": utcnow().isoformat()}
    push |= {name: message[name] for name in ("to", "title", "body", "data")}
    pushes.append(push)
    return {"status": "ok", "id": push["id"]}


def _push_row(push: JsonDict, api_url: str) -> str:
    data = dict(push["data"])
    buttons = "<br>".join(_link(button, api_url) for button in data.pop("actions", ()))
    time = f"{datetime.fromisoformat(push['at']):%H:%M:%S}"
    texts = [html.escape(text) for text in (time, push["to"], push["title"], push["body"])]
    return _row([*texts, buttons, html.escape(json.dumps(data))])


def _webhook_row(message: JsonDict) -> str:
    cells = (message["at"], message["headers"].get("webhook-id", ""), message["body"])
    return _row(map(html.escape, cells))


def _row(cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _link(button: JsonDict, api_url: str) -> str:
    page = f"{api_url}/a/{quote(button['token'], safe='')}"
    return f'<a href="{html.escape(page)}" rel="noreferrer">{html.escape(button["title"])}</a>'


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
