"""What a process owns: one pool, one client of each kind. The API and the worker open it alike."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx

from app.agents.catalog import Catalog, load_catalog
from app.clients.event_hub import EventHub
from app.clients.expo import ExpoClient
from app.clients.object_store import Storage
from app.clients.pace import NoPace, RedisPace
from app.clients.push import PushSender
from app.clients.queue import ArqQueue, JobQueue
from app.clients.redis import RedisClient, create_redis
from app.clients.run_event_publisher import RedisRunEvents
from app.clients.run_events import RunEvents
from app.clients.s3 import S3Store
from app.config import Settings
from app.db import SessionFactory, create_engine, create_session_factory
from app.enums import Platform
from app.security import Cipher
from app.services.access import Principal
from app.services.budgets import Budgets
from app.services.caller_cache import CallerCache
from app.services.list_memory import ListMemory
from app.services.run_stream import find_last_words
from app.services.stream_presence import StreamPresence
from app.services.usage_gates import UsageGate, open_gates

__all__ = ["ProcessContext", "create_senders", "open_process"]

# Pushes go to few hosts, again and again: connections are worth keeping.
_HTTP_LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=32, keepalive_expiry=60)
_HTTP_TIMEOUT_SECONDS = 10.0
_EXPO_PACE = "push:pace:expo"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessContext:
    """The settings and the opened clients of this process."""

    settings: Settings
    sessions: SessionFactory
    redis: RedisClient
    queue: JobQueue
    store: Storage
    events: RunEvents
    # Those who follow runs through this process, and the devices that they do it with.
    hub: EventHub
    watchers: StreamPresence
    # Who brings pushes to which devices; a platform without one is not configured.
    push: Mapping[Platform, PushSender]
    # The agents that runs may ask for; default: those of this release.
    catalog: Catalog = field(default_factory=load_catalog)
    # Who may object to another cloud run of a project.
    gates: Sequence[UsageGate] = ()
    # What this process remembers for a moment.
    callers: CallerCache[Principal] = field(default_factory=CallerCache)
    budgets: Budgets = field(default_factory=Budgets)
    lists: ListMemory = field(default_factory=ListMemory)

    @property
    def cipher(self) -> Cipher:
        """What encrypts the secrets that the service must read back."""
        return Cipher(self.settings.secret_keys)


@asynccontextmanager
async def open_process(settings: Settings, *, name: str) -> AsyncGenerator[ProcessContext, None]:
    """Open what a process needs and close it in reverse order. Connects to nothing before the first use.

    Raises:
        CatalogInvalid: the operator's catalog of adapters is not valid.
        UsageGateInvalid: the operator's usage gate cannot be loaded.

    """
    catalog = load_catalog(settings.agent_catalog)
    engine = create_engine(settings, application_name=f"taskbeacon-{name}")
    redis = create_redis(settings.redis_url)
    queue = ArqQueue(settings.redis_url)
    sessions = create_session_factory(engine)
    events = RedisRunEvents(redis)
    hub = EventHub(redis, partial(find_last_words, sessions))
    try:
        async with (
            httpx.AsyncClient(limits=_HTTP_LIMITS, timeout=_HTTP_TIMEOUT_SECONDS) as http,
            S3Store(settings, http=http) as store,
            open_gates(settings, sessions) as gates,
        ):
            yield ProcessContext(
                settings=settings,
                sessions=sessions,
                redis=redis,
                queue=queue,
                store=store,
                events=events,
                hub=hub,
                watchers=StreamPresence(sessions),
                push=create_senders(settings, http, redis),
                catalog=catalog,
                gates=gates,
            )
    finally:
        await hub.aclose()
        await events.aclose()
        await queue.aclose()
        await redis.aclose()
        await engine.dispose()


def create_senders(
    settings: Settings, http: httpx.AsyncClient, redis: RedisClient
) -> Mapping[Platform, PushSender]:
    """Return the push services that are configured, all on one HTTP client."""
    pace = (
        RedisPace(redis, _EXPO_PACE, per_second=settings.expo_messages_per_second)
        if settings.expo_messages_per_second
        else NoPace()
    )
    expo = ExpoClient(
        http, base_url=settings.expo_base_url, access_token=settings.expo_access_token, pace=pace
    )
    senders: dict[Platform, PushSender] = {Platform.IOS: expo, Platform.ANDROID: expo}
    if settings.vapid_private_key is not None:
        # What encrypts for browsers brings two more HTTP clients with it; most processes go without.
        from app.clients.web_push import VapidKey, WebPushClient  # noqa: PLC0415

        senders[Platform.WEB] = WebPushClient(
            http,
            key=VapidKey(settings.vapid_private_key),
            subject=settings.vapid_subject,
            hosts=settings.web_push_hosts,
            allow_http=settings.development,
        )
    return senders
