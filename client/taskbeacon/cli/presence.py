"""Presence of this terminal: while a person can see it, pushes about the task wait (contract 5.6, 16.1)."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from uuid import uuid4

from taskbeacon.client import Client, TaskbeaconError

_BEAT_SECONDS = 30.0


@contextmanager
def showing(client: Client, task_path: str) -> Iterator[None]:
    """Be a device that shows the task while this process is in the foreground of a terminal."""
    is_over = Event()
    device = {"device_id": str(uuid4()), "kind": "terminal"}

    def beat() -> None:
        has_beaten = False
        is_first = True
        while is_first or not is_over.wait(_BEAT_SECONDS):
            is_first = False
            # A job of a shell goes to the background, and comes back.
            if _is_in_foreground():
                with suppress(TaskbeaconError):
                    client.request("POST", f"{task_path}/presence", json=device)
                    has_beaten = True
        if has_beaten:
            with suppress(TaskbeaconError):
                client.request("DELETE", f"{task_path}/presence", json=device)

    thread = Thread(target=beat, daemon=True)
    thread.start()
    # Who interrupts wants the end now.
    patience = 0.5
    try:
        yield
        patience = 10.0
    finally:
        is_over.set()
        thread.join(patience)


def _is_in_foreground() -> bool:
    try:
        return sys.stdout.isatty() and os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):
        return False
