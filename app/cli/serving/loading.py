"""Load a process without garbage collection, because loading leaves hardly any garbage.

Full collections were 0.15 s of the 1.2 s in which an API must be ready (ADR 72). Imports nothing of the service itself.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# How many new objects start a collection of the youngest generation. A page of the inbox or a claim of pushes makes
# thousands and keeps none: with Python's default of 700, a worker spent a twentieth of its time on collections.
_YOUNG_OBJECTS = 10_000


@contextmanager
def defer_garbage_collection() -> Iterator[None]:
    """Collect no garbage during the block; exempt all objects from later collections when it ends."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        collect_seldom()
        if was_enabled:
            gc.enable()


def collect_seldom() -> None:
    """Exempt all objects that exist now from later garbage collections, and make later collections less frequent."""
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def load_api() -> "ASGIApp":
    """Hide the environment, then load and return the API; uvicorn calls this in each process."""
    with defer_garbage_collection():
        from app.cli.hidden_environment import hide_environment

        hide_environment()  # first: the rest takes a second
        from app.config import get_settings
        from app.main import create_app
        from app.observability import configure_logging
        from app.web.proxies import TrustedProxies

        settings = get_settings()
        configure_logging(settings.log_format, settings.log_level)
        return TrustedProxies(create_app(settings), trusted=settings.forwarded_allow_ips)
