"""The clients and intervals that the live streams of a process use."""

from dataclasses import dataclass

from app.clients.event_hub import EventHub
from app.clients.redis import RedisClient
from app.config import Settings
from app.db import SessionFactory
from app.services.notifications.stream_presence import StreamPresence
from app.services.streams.ledger_feed import LedgerFeed


@dataclass(frozen=True, slots=True)
class StreamIntervals:
    """The intervals of a live stream, in seconds."""

    keepalive: float
    patience: float
    life: float

    @classmethod
    def of(cls, settings: Settings) -> "StreamIntervals":
        """Return the intervals that the settings configure."""
        return cls(
            keepalive=settings.stream_keepalive_seconds,
            patience=settings.stream_patience_seconds,
            life=settings.stream_life_seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamClients:
    sessions: SessionFactory
    hub: EventHub
    redis: RedisClient
    watchers: StreamPresence
    ledger: LedgerFeed
    intervals: StreamIntervals
    # The setting `task_url`.
    link: str
