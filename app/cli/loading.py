"""Load a process without garbage collection, because loading leaves hardly any garbage.

While modules are imported objects only become more, and each full collection looks through all of them in vain: a
quarter of the time that an API takes to load, 0.15 s of the 1.2 s in which it must be ready. Imports nothing of the service itself: what is imported before this
would be looked through.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect nothing within the block, and never look through what is there at its end.

    What is loaded stays until the process ends. Each full collection would look through all of it again, and hold up
    requests for as long as many of them take.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def load_api() -> "ASGIApp":
    """Return the API as uvicorn asks for it; a process of `--workers` starts from nothing."""
    with uncollected():
        # Here and not above, where it would be loaded before anything is said about garbage.
        from app.cli.privacy import hide_environment  # noqa: PLC0415

        hide_environment()  # first: the rest takes a second
        from app.cli.application import create_logging_app  # noqa: PLC0415

        return create_logging_app()
