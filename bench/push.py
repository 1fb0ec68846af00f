"""Messages per second from 10,000 pending rows to settled ones, against what an Expo of 20 ms can take.

The limit is that of six requests of a hundred messages at a time with nothing between them. Run it with
`make bench-push`.
"""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import structlog
from sqlalchemy import func, insert, select

from app.clock import utcnow
from app.config import Settings
from app.db import unit_of_work
from app.enums import NotificationDecision, NotificationKind, OriginProduct, Platform
from app.ids import new_hex_id, new_id
from app.models import Notification, PushToken, Task
from app.services import accounts
from app.services.notification_delivery import BATCH
from app.services.process import ProcessContext, open_process
from app.services.push_tokens import hash_token
from app.worker.context import PUSH_SLOTS
from app.worker.jobs.deliver_notifications import deliver_due
from bench.servers import servers
from bench.slow_expo import LATENCY_SECONDS
from bench.table import timing

_MESSAGES: Final = 10_000
# Of one Expo project in a second.
_ALLOWED: Final = 600
_START_SECONDS: Final = 20.0


@contextmanager
def _expo() -> Iterator[str]:
    """Start the slow Expo and yield its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "bench.slow_expo", str(port)])  # noqa: S603 - our own module
    base_url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(base_url):
            if time.monotonic() > deadline:
                raise TimeoutError("the slow Expo does not start")
            time.sleep(0.05)
        yield base_url
    finally:
        process.terminate()
        process.wait()


def _answers(base_url: str) -> bool:
    try:
        return httpx.get(base_url, trust_env=False).is_success
    except httpx.TransportError:
        return False


async def _pending(process: ProcessContext) -> None:
    async with unit_of_work(process.sessions) as session:
        organization = await accounts.create_organization(session, "Bench")
        project = await accounts.create_project(session, "Bench", organization_id=organization.id)
        user = await accounts.create_user(session, "bench@example.com", project_ids=[project.id])
        now = utcnow()
        task = Task(
            id=new_id(),
            project_id=project.id,
            created_by_id=user.id,
            title="Bench",
            title_manually_set=True,
            description="",
            origin_product=OriginProduct.USER_CREATED,
            internal=False,
            archived=False,
            created_at=now,
            updated_at=now,
        )
        session.add(task)
        await session.flush()
        tokens = {new_id(): f"ExponentPushToken[{new_hex_id()[:22]}]" for _ in range(_MESSAGES)}
        shared = {"user_id": user.id, "platform": Platform.IOS, "created_at": now}
        await session.execute(
            insert(PushToken),
            [
                shared | {"id": id_, "token": token, "token_hash": hash_token(token), "last_seen_at": now}
                for id_, token in tokens.items()
            ],
        )
        await session.execute(
            insert(Notification),
            [
                shared
                | {
                    "id": new_id(),
                    "task_id": task.id,
                    "kind": NotificationKind.COMPLETED,
                    "body": '"Bench" finished',
                    "device_id": device_id,
                    "decision": NotificationDecision.PENDING,
                    "due_at": now,
                }
                for device_id in tokens
            ],
        )


async def _measure(settings: Settings, base_url: str) -> dict[str, Any]:
    async with open_process(settings, name="bench") as process:
        await _pending(process)
        started = time.perf_counter()
        await deliver_due(process, asyncio.Semaphore(PUSH_SLOTS))
        seconds = time.perf_counter() - started
        async with unit_of_work(process.sessions) as session:
            sent = await session.scalar(
                select(func.count())
                .select_from(Notification)
                .where(Notification.decision == NotificationDecision.SENT)
            )
    async with httpx.AsyncClient(trust_env=False) as client:
        seen = (await client.get(base_url)).json()
    limit = PUSH_SLOTS * BATCH / LATENCY_SECONDS
    return {
        "messages": seen["messages"],
        "devices": seen["devices"],
        "settled": sent,
        "seconds": round(seconds, 2),
        "messages_per_second": round(_MESSAGES / seconds),
        "limit_of_the_fake": round(limit),
        "times_expo_allows": round(_MESSAGES / seconds / _ALLOWED, 1),
        "bar": "every message once, faster than Expo allows a project",
        "ok": seen == {"messages": _MESSAGES, "devices": _MESSAGES}
        and sent == _MESSAGES
        and _MESSAGES / seconds > _ALLOWED,
    }


def rows() -> list[tuple[str, ...]]:
    """Measure, and return the lines for the one table of `make bench`."""
    result = _run()
    ideal = _MESSAGES / result["limit_of_the_fake"] * 1000
    name = f"push of {_MESSAGES:,}"
    return timing(name, result["seconds"] * 1000, reference=ideal, referee="ideal")


def _run() -> dict[str, Any]:
    with servers() as settings, _expo() as base_url:
        # What Expo allows is not what is measured here.
        unlimited = settings.model_copy(update={"expo_base_url": base_url, "expo_messages_per_second": 0})
        return asyncio.run(_measure(unlimited, base_url))


def main() -> int:
    """Measure, print one JSON object, and return an exit status."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    result = _run()
    print(json.dumps(result, indent=2))  # noqa: T201 - the result
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
