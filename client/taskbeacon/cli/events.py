"""`taskbeacon events listen`: print the ledger as it grows, and forward it as a webhook would come."""

import hashlib
import json
import secrets
import time
from base64 import b64encode
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskbeacon.cli import output
from taskbeacon.cli.failures import usage
from taskbeacon.cli.options import allowed, json_flag, placed
from taskbeacon.client.settings import config_file, write_private
from taskbeacon.client.shapes import checked

if TYPE_CHECKING:
    import httpx

    from taskbeacon.client import Client, Event

_LONGEST_PAUSE = 5.0
_SECONDS = 30.0


@click.group()
def events() -> None:
    """Listen to events, and forward them."""


@events.command()
@click.option("--types", metavar="LIST", help="Types and families such as run.*, separated by commas.")
@click.option("--forward", "target", metavar="URL", help="POST each event there, signed as the server signs.")
@click.option("--print-secret", is_flag=True, help="Print the secret of the signatures, and end.")
@json_flag
@placed
def listen(*, types: str | None, target: str | None, print_secret: bool, as_json: bool, **place: Any) -> None:
    """Print events from now on, or after the last one that was forwarded."""
    if target is not None and not target.startswith(("http://", "https://")):
        raise usage(f"{target!r} is no URL of a receiver")
    import httpx  # noqa: PLC0415 - slow to load

    from taskbeacon.client import Client, Gap  # noqa: PLC0415 - loads the HTTP library

    folder = config_file().parent
    secret = _secret(folder / "forward-secret")
    if print_secret:
        output.line(secret)
        return
    with Client(**place) as client, httpx.Client(timeout=_SECONDS, trust_env=False) as receiver:
        _require_known(client, types)
        of = f"{client.settings.url}\n{client.settings.project}\n{target}"
        kept = None if target is None else folder / "forwarded" / hashlib.sha256(of.encode()).hexdigest()[:32]
        after = kept.read_text(encoding="utf-8") if kept is not None and kept.exists() else None

        def tell() -> None:
            output.note("Listening")
            if as_json:
                output.as_json({"type": "listening", "topics": "tasks"})

        for item in client.events.stream(after=after, connected=tell):
            if isinstance(item, Gap) and as_json:
                output.as_json({**item.data, "type": "gap"})
            elif isinstance(item, Gap):
                output.note("events are missing here")
            elif not types or _matches(item.type, types):
                status = None if target is None else _forward(item, receiver, target, secret)
                _show(item, status, as_json=as_json)
            if kept is not None and item.event_id is not None:
                write_private(kept, item.event_id)


def _require_known(client: "Client", types: str | None) -> None:
    listed = allowed(client, "webhook_event_types", [{"type": str}]) if types else None
    known = [each["type"] for each in listed or ()]
    for word in (types or "").split(",") if known else ():
        if not any(_matches(type_, word) for type_ in known):
            raise usage(f"no event is of the type {word.strip()!r}; there are: {', '.join(known)}")


def _show(event: "Event", status: int | None, *, as_json: bool) -> None:
    forwarded = {} if status is None else {"forwarded": {"status": status}}
    if as_json:
        output.as_json({**event.data, **forwarded})
        return
    of = checked(event.data, {"data": (dict, None)}).get("data") or {}
    words = [event.data.get("timestamp"), event.type, of.get("task_id"), of.get("run_id"), status]
    output.line(" ".join(str(word) for word in words if word))


def _matches(type_: str, types: str) -> bool:
    return any(fnmatchcase(type_, each.strip()) for each in types.split(","))


def _forward(item: "Event", receiver: "httpx.Client", target: str, secret: str) -> int:
    import httpx  # noqa: PLC0415 - loaded already
    from standardwebhooks.webhooks import Webhook  # noqa: PLC0415 - forwarding alone needs it

    body = json.dumps(item.data)
    pause = 0.25
    while True:
        now = datetime.now(UTC)
        id_ = checked(item.data, {"id": str})["id"]
        headers = {"Content-Type": "application/json", "webhook-id": id_}
        headers["webhook-timestamp"] = str(int(now.timestamp()))
        headers["webhook-signature"] = Webhook(secret).sign(id_, now, body)
        try:
            return receiver.post(target, content=body, headers=headers).status_code
        except httpx.TransportError as error:
            output.note(f"{target} does not answer: {error}")
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _secret(path: Path) -> str:
    if not path.exists():
        write_private(path, f"whsec_{b64encode(secrets.token_bytes(32)).decode()}")
    return path.read_text(encoding="utf-8").strip()
