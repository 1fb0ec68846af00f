"""The embedded servers for one measurement, in a folder that is removed afterwards."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.config import Settings
from app.devstack.home import Home
from app.devstack.processes import Supervisor
from app.devstack.servers.servers import EmbeddedServers
from app.services.schema_revision import upgrade_schema

_WANTED = ("postgres", "valkey", "seaweedfs")
_SETTINGS = {"development": True, "throttle_per_minute": 0, "throttle_per_hour": 0}


@contextmanager
def servers() -> Iterator[Settings]:
    """Start PostgreSQL with an up-to-date schema, Valkey and SeaweedFS; yield the settings for them."""
    folder = Path(tempfile.mkdtemp(prefix="taskbeacon-bench-"))
    home = Home(folder)
    home.create()
    lock = home.acquire()
    supervisor = Supervisor()
    supervisor.keep_open(lock)
    embedded = EmbeddedServers(home, wanted=_WANTED, durable=False, bucket="taskbeacon-bench")
    try:
        embedded.start(supervisor)
        embedded.await_database(supervisor, _ignore)
        embedded.await_others(supervisor, _ignore)
        addresses = {
            name.removeprefix("TASKBEACON_").lower(): value for name, value in embedded.environment.items()
        }
        settings = Settings.model_validate({**_SETTINGS, **addresses})
        upgrade_schema(settings.database_url)
        yield settings
    finally:
        supervisor.stop()
        embedded.clean_up()
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the settings as environment variables for processes, with rate limits that are never reached."""
    values = {
        "development": "true",
        "database_url": settings.database_url,
        "redis_url": settings.redis_url,
        "s3_endpoint_url": settings.s3_endpoint_url or "",
        "s3_bucket": settings.s3_bucket,
        "s3_access_key_id": settings.s3_access_key_id or "",
        "s3_secret_access_key": settings.s3_secret_access_key.get_secret_value()
        if settings.s3_secret_access_key
        else "",
        "throttle_per_minute": str(10**9),
        "throttle_per_hour": str(10**9),
    }
    return {f"TASKBEACON_{name.upper()}": value for name, value in values.items()}


def _ignore(_name: str, _address: str) -> None:
    """Discard the reports of servers that become ready."""
