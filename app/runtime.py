"""Open the resources of a process, API or worker: a connection pool, and a client of each other server."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NamedTuple

from app.agents.adapters.catalog import load_catalog
from app.clients.expo.send_rate import SendRate
from app.clients.http.host_names import Destinations
from app.clients.job_queue import JobQueue
from app.clients.live_events.event_hub import EventHub
from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.pushes.push import PushSender, ReceiptSource
from app.clients.redis import RedisClient, create_redis
from app.clients.request_counter import RateLimiter
from app.clients.storage.object_store import ObjectStore
from app.clients.wakes import LedgerWakes
from app.config import Settings
from app.db import create_engine, create_session_factory
from app.enums import Platform
from app.security.addresses import AddressPolicy
from app.security.secrets import Cipher
from app.services.access.caller_cache import CallerCache
from app.services.access.stream_watch import StreamWatch
from app.services.access.usage_gates import open_gates
from app.services.events import ledger
from app.services.health import Health
from app.services.notifications.stream_presence import StreamPresence
from app.services.opened_clients import ServiceClients
from app.services.retrying.policies import LIVE_EVENTS_SECONDS, PUSH_PROBES
from app.services.run_log.log_reading import LogPages
from app.services.streams.ledger_feed import LedgerFeed
from app.services.streams.run_streams import final_states
from app.services.streams.stream_clients import StreamClients
from app.services.tasks.cached_pages import KnownLists
from app.services.views.queue_position import PROJECT_LIMIT

# Pushes to browsers go to few hosts, so keeping connections pays off.
_PUSH_CONNECTIONS = 32
_EXPO_RATE_KEY = "push:pace:expo"


class PushServices(NamedTuple):
    """The senders of pushes by platform, of those that are configured, and the source of receipts."""

    senders: Mapping[Platform, PushSender]
    receipts: ReceiptSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessContext(ServiceClients):
    """The settings, the opened clients and the caches of one process."""

    settings: Settings
    # The followers of runs in this process, and their devices.
    hub: EventHub
    watchers: StreamPresence
    # Opened by the first call, because an API process rarely sends a push.
    push: Callable[[], PushServices]
    callers: CallerCache = field(default_factory=CallerCache)
    rate_limiter: RateLimiter = field(default_factory=RateLimiter)
    lists: KnownLists = field(default_factory=KnownLists)
    # Ends the streams of callers that lose access: their key, their session, or their view of the run.
    open_streams: StreamWatch = field(default_factory=StreamWatch)
    log_pages: LogPages = field(default_factory=LogPages)
    health: Health = field(default_factory=Health)
    # Reads new events of the ledger for the live streams.
    ledger: LedgerFeed = field(default_factory=LedgerFeed)

    def stream_clients(self) -> StreamClients:
        return StreamClients(
            sessions=self.sessions,
            hub=self.hub,
            redis=self.redis,
            watchers=self.watchers,
            ledger=self.ledger,
            keepalive=self.settings.stream_keepalive_seconds,
            patience=self.settings.stream_patience_seconds,
            life=self.settings.stream_life_seconds,
            link=self.settings.task_url,
        )


@asynccontextmanager
async def open_process(
    settings: Settings, *, name: str, plan_once: bool = False
) -> AsyncGenerator[ProcessContext, None]:
    """Open the clients of a process, `api` or `worker`, until the block ends; each connects at its first use."""
    catalog = load_catalog(settings.agent_catalog)
    # Each client is closed even if closing another fails.
    async with AsyncExitStack() as opened:
        engine = create_engine(settings, application_name=f"taskbeacon-{name}", plan_once=plan_once)
        opened.push_async_callback(engine.dispose)
        redis = create_redis(settings.redis_url)
        opened.push_async_callback(redis.aclose)
        queue = JobQueue(settings.redis_url)
        opened.push_async_callback(queue.aclose)
        wakes = LedgerWakes(redis)
        opened.push_async_callback(wakes.aclose)
        info = {ledger.WAKE: wakes.announce, PROJECT_LIMIT: settings.project_concurrency}
        sessions = create_session_factory(engine, info=info)
        events = RunEvents(redis, pause=LIVE_EVENTS_SECONDS)
        opened.push_async_callback(events.aclose)
        hub = EventHub(redis, partial(final_states, sessions), pause=LIVE_EVENTS_SECONDS)
        opened.push_async_callback(hub.aclose)
        destinations = Destinations(AddressPolicy.parse(settings.webhook_allow_private_networks))
        opened.callback(destinations.close)
        yield ProcessContext(
            settings=settings,
            sessions=sessions,
            redis=redis,
            queue=queue,
            store=await opened.enter_async_context(ObjectStore(settings)),
            events=events,
            cipher=Cipher(settings.secret_keys),
            hub=hub,
            watchers=StreamPresence(sessions),
            push=cache(partial(_open_push, settings, redis, destinations.policy, opened)),
            catalog=catalog,
            destinations=destinations,
            gates=await opened.enter_async_context(open_gates(settings, sessions)),
        )


def _open_push(
    settings: Settings, redis: RedisClient, policy: AddressPolicy, stack: AsyncExitStack
) -> PushServices:
    from app.clients.expo.expo_client import ExpoClient, open_http  # noqa: PLC0415 - few processes push

    rate = (
        SendRate(redis, _EXPO_RATE_KEY, per_second=settings.expo_messages_per_second)
        if settings.expo_messages_per_second
        else None
    )
    http = open_http(settings.expo_base_url)
    stack.push_async_callback(http.close)
    expo = ExpoClient(
        http,
        base_url=settings.expo_base_url,
        access_token=settings.expo_access_token,
        rate=rate,
        next_probe=PUSH_PROBES.next_at,
    )
    senders: dict[Platform, PushSender] = {Platform.IOS: expo, Platform.ANDROID: expo}
    if settings.vapid_private_key is not None:
        from app.clients.http.guarded_http import create_guarded_client  # noqa: PLC0415 - few processes push
        from app.clients.web_push.vapid import VapidKey  # noqa: PLC0415 - few processes push
        from app.clients.web_push.web_push_client import WebPushClient  # noqa: PLC0415 - few processes push

        browsers = create_guarded_client(policy, keepalive=_PUSH_CONNECTIONS)
        stack.push_async_callback(browsers.aclose)
        senders[Platform.WEB] = WebPushClient(
            browsers,
            key=VapidKey(settings.vapid_private_key),
            subject=settings.vapid_subject,
            hosts=settings.web_push_hosts,
            next_probe=PUSH_PROBES.next_at,
            allow_http=settings.development,
        )
    # Only Expo returns tickets, for both of its platforms.
    return PushServices(senders, receipts=expo)
