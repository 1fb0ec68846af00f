"""The clients and intervals that the live streams of a process use."""

from dataclasses import dataclass

from app.clients.live_events.event_hub import EventHub
from app.clients.redis import RedisClient
from app.db import SessionFactory
from app.services.notifications.stream_presence import StreamPresence
from app.services.streams.ledger_feed import LedgerFeed


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamClients:
    sessions: SessionFactory
    hub: EventHub
    redis: RedisClient
    watchers: StreamPresence
    ledger: LedgerFeed
    # In seconds: between keepalives; until a client that waits for the stream of a run is refused; until a rotation.
    keepalive: float
    patience: float
    life: float
    link: str
