"""Webhook endpoints and events for tests, and the deliverer of a worker."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.http.guarded_http import create_guarded_client
from app.clients.http.host_names import Destinations
from app.clients.webhooks.webhook_client import TOTAL_SECONDS, WebhookClient
from app.clients.webhooks.webhook_messages import WebhookSender
from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.enums import DisabledReason, EventType
from app.ids import new_id
from app.models import (
    Event,
    EventCursor,
    Project,
    Task,
    User,
    WebhookAttempt,
    WebhookEndpoint,
    WebhookEndpointDelivery,
)
from app.runtime import ProcessContext
from app.security.addresses import AddressPolicy
from app.security.secrets import Cipher
from app.services.webhook_endpoints.signing import HINT_LENGTH, new_secret
from app.worker.loops.webhooks import WebhookDeliverer
from tests.support.waiting import eventually

__all__ = [
    "LOOPBACK",
    "Deliveries",
    "add_event",
    "attempts_of",
    "delivering",
    "make_delivery",
    "make_endpoint",
    "record_event",
    "with_loopback",
]

LOOPBACK = ("127.0.0.0/8", "::1/128")


def with_loopback(process: ProcessContext) -> ProcessContext:
    """Return the process context with webhooks to this machine allowed, as in the development stack."""
    settings = process.settings.model_copy(update={"webhook_allow_private_networks": LOOPBACK})
    return replace(process, settings=settings, destinations=Destinations(AddressPolicy.parse(LOOPBACK)))


async def make_endpoint(
    session: AsyncSession, *, project: Project, created_by: User, url: str, **overrides: Any
) -> tuple[WebhookEndpoint, str]:
    """Make a webhook endpoint for all events unless overridden; return it with its secret."""
    secret, now = new_secret(), utcnow()
    values: dict[str, Any] = {
        "id": new_id(),
        "project_id": project.id,
        "created_by_id": created_by.id,
        "url": url,
        "event_types": ["*"],
        "payload": "thin",
        "enabled": True,
        "disabled_reason": None if overrides.get("enabled", True) else DisabledReason.USER,
        "encrypted_secret": Cipher(Settings().secret_keys).encrypt(secret),
        "encrypted_old_secrets": {},
        "secret_hint": secret[-HINT_LENGTH:],
        "created_at": now,
        "updated_at": now,
    }
    endpoint = WebhookEndpoint(**(values | overrides))
    session.add(endpoint)
    await session.flush()
    return endpoint, secret


async def make_delivery(
    session: AsyncSession, endpoint: WebhookEndpoint, **overrides: Any
) -> WebhookEndpointDelivery:
    """Make a webhook delivery of an event that is due."""
    now = utcnow()
    values: dict[str, Any] = {
        "id": new_id(),
        "endpoint_id": endpoint.id,
        "event_id": new_id(),
        "event_type": EventType.TASK_UPDATED,
        "event_at": now,
        "body": "{}",
        "status": "pending",
        "attempts_allowed": 10,
        "due_at": now,
        "created_at": now,
    }
    delivery = WebhookEndpointDelivery(**(values | overrides))
    session.add(delivery)
    await session.flush()
    return delivery


async def record_event(
    sessions: SessionFactory, task: Task, type_: EventType = EventType.TASK_UPDATED, **columns: Any
) -> UUID:
    """Record an event of a task in the ledger, and return its id."""
    values = {"project_id": task.project_id, "task_id": task.id, "subject_seq": 1, "occurred_at": utcnow()}
    async with unit_of_work(sessions) as session:
        return await add_event(session, type_, **(values | columns))


async def add_event(session: AsyncSession, type_: EventType, **columns: Any) -> UUID:
    """Add an event to the ledger in the session's transaction, and return its id."""
    event = Event(id=new_id(), type=type_, **({"data": {}} | columns))
    session.add(event)
    await session.flush()
    return event.id


async def attempts_of(sessions: SessionFactory, delivery: WebhookEndpointDelivery) -> list[WebhookAttempt]:
    """Return the attempts of a webhook delivery in their order."""
    async with unit_of_work(sessions) as session:
        statement = select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery.id)
        return list(await session.scalars(statement.order_by(WebhookAttempt.n)))


@asynccontextmanager
async def delivering(
    process: ProcessContext, *, total_seconds: float = TOTAL_SECONDS
) -> AsyncGenerator["Deliveries", None]:
    """Yield the webhook deliverer of a worker; it may send to this machine's own network."""
    async with create_guarded_client(AddressPolicy.parse(LOOPBACK)) as http:
        yield Deliveries(process, WebhookClient(http, total_seconds=total_seconds))


class Deliveries:
    """The webhook deliverer of a worker on the database of a test, and look-ups of its rows."""

    def __init__(self, process: ProcessContext, sender: WebhookSender, **limits: Any) -> None:
        self.process = with_loopback(process)
        self.sender = sender
        self.deliverer = WebhookDeliverer(self.process, sender, **limits)

    def with_limits(self, **limits: Any) -> "Deliveries":
        """Return the same with another deliverer, which has these limits."""
        return Deliveries(self.process, self.sender, **limits)

    async def deliver(self) -> None:
        """Relay all events and deliver the messages that are due; open transactions elsewhere hold events up."""
        await self.relay()
        await self.send_due()
        # Deliveries record events too, such as that of a disabled endpoint.
        await self.relay()
        await self.send_due()

    async def send_due(self) -> None:
        """Send the messages that are due, and wait until the results are stored."""
        await self.deliverer._begin_attempts(asyncio.Event())
        while self.deliverer._attempts:
            await self.deliverer.drain()
            await self.deliverer._begin_attempts(asyncio.Event())

    async def relay(self) -> None:
        """Make the rows of deliveries for all events, and send none."""

        async def relayed() -> bool:
            while await self.deliverer._relay() or await self.deliverer._recover():
                pass
            async with unit_of_work(self.process.sessions) as session:
                cursor = await session.get(EventCursor, "webhooks")
                newest = select(Event.transaction_id, Event.seq).order_by(
                    Event.transaction_id.desc(), Event.seq.desc()
                )
                row = (await session.execute(newest.limit(1))).one_or_none()
            return row is None or (
                cursor is not None and (cursor.transaction_id, cursor.seq) >= (row.transaction_id, row.seq)
            )

        await eventually(relayed)

    async def rows(self, **conditions: Any) -> list[WebhookEndpointDelivery]:
        """Return the webhook deliveries that meet the conditions (column values), oldest first."""
        statement = select(WebhookEndpointDelivery).filter_by(**conditions)
        async with unit_of_work(self.process.sessions) as session:
            return list(await session.scalars(statement.order_by(WebhookEndpointDelivery.id)))

    async def endpoint(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Return a webhook endpoint as it is now in the database."""
        async with unit_of_work(self.process.sessions) as session:
            return await session.get_one(WebhookEndpoint, endpoint.id)
