"""Runs `taskbeacon` with a wrong clock: `python -m tests.support.deployment.shifted_clock SECONDS COMMAND…`.

Replaces what Python programs read the time from, before anything of the service is loaded. The monotonic
clock is left alone, as it is on such a machine.
"""

import datetime as dt
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

from typing_extensions import override


class _AnyDatetime(type):
    """Instants made elsewhere, by C code for one, are of the replaced class too."""

    @override
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


def taskbeacon_ahead(seconds: float) -> str:
    """Return the program for `service_process` with a clock that is `seconds` ahead; negative: behind."""
    return f"{__name__} {seconds}"


def shift(seconds: float) -> None:
    """Put the clock of this process forward; a negative number puts it back."""
    by, read, read_ns = timedelta(seconds=seconds), time.time, time.time_ns

    class Shifted(datetime, metaclass=_AnyDatetime):
        @override
        def __new__(cls, *args: Any, **options: Any) -> Any:
            # No instant is of this class: others look at the exact type.
            return datetime.__new__(datetime, *args, **options)

        @classmethod
        @override
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + by

        @classmethod
        @override
        def utcnow(cls) -> Any:
            return datetime.now(dt.UTC).replace(tzinfo=None) + by

    def shifted() -> float:
        return read() + seconds

    def shifted_ns() -> int:
        return read_ns() + int(seconds * 1_000_000_000)

    replacements: list[tuple[Any, str, Callable[..., Any]]] = [
        (time, "time", shifted),
        (time, "time_ns", shifted_ns),
        (dt, "datetime", Shifted),
    ]
    for module, name, replacement in replacements:
        setattr(module, name, replacement)


if __name__ == "__main__":
    shift(float(sys.argv[1]))
    del sys.argv[1]
    from app.cli import main

    main()
