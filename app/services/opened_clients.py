"""The opened clients of a process (Redis, queue, store, ...) for service functions, in one object."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.agents.adapters.catalog import Catalog, load_catalog
from app.clients.http.host_names import Destinations
from app.clients.job_queue import JobQueue
from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.redis import RedisClient
from app.clients.storage.object_store import ObjectStore
from app.coroutines.shielded import JoinedWork
from app.db import SessionFactory
from app.security.secrets import Cipher
from app.services.access.usage_gates import UsageGate


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceClients:
    """The opened clients of a process, such as Redis and the queue, for service functions that need several of them."""

    # Opens the transactions of steps that are no part of the caller's.
    sessions: SessionFactory
    redis: RedisClient
    queue: JobQueue
    store: ObjectStore
    events: RunEvents
    # Encrypts the secrets that the service must read back.
    cipher: Cipher
    # The agents that runs may request; default: those of this release.
    catalog: Catalog = field(default_factory=load_catalog)
    destinations: Destinations = field(default_factory=Destinations)
    # The checks that can refuse another cloud run of a project.
    gates: Sequence[UsageGate] = ()
    # The waits for live diffs, by topic.
    diff_waits: JoinedWork[None] = field(default_factory=JoinedWork)
