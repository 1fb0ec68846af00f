"""The set-up of logging, which belongs to the process and so to all tests."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

import structlog


@contextmanager
def kept_logging() -> Generator[None, None, None]:
    """Restore the logging configuration after the block."""
    root = logging.getLogger()
    handlers, level, processors = root.handlers[:], root.level, structlog.get_config()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**processors)
