"""Configure structured logging, and remove secrets from log lines.

Ids of the request, project, run and job are bound once through `structlog.contextvars` and appear on each
line.
"""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, TextIO

import orjson
import structlog

from app.config import LogFormat

# In any text: keys, action tokens, run tokens, codes of terminals and secrets of webhook endpoints of this service,
# tokens of GitHub, keys of model providers, and the credentials of a URL.
_SECRET_VALUE = re.compile(
    r"ph[xacs]_[A-Za-z0-9]{8,}|tba_[A-Za-z0-9_.-]{8,}|whsec_[A-Za-z0-9+/=]{8,}"
    r"|(?:gh[oprsu]|github_pat)_[A-Za-z0-9_.-]{8,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|\bsk-[A-Za-z0-9_-]{16,}"
    r"|(?<=://)[^/\s@]+(?=@)|(?<=/cli/login/)(?!token\b)[^/]+"
)
_SECRET_NAMES = frozenset(
    {
        "authorization",
        "cookie",
        "set-cookie",
        "token",
        "password",
        "secret",
        "api_key",
        "personal_api_key",
        "github_user_token",
        "device_code",
        "access_token",
        "private_key",
    }
)
_HIDDEN = "[redacted]"


def configure_logging(log_format: LogFormat, level: str) -> None:
    """Set up logging in this process: all log events go to standard error, one line each."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Plain tracebacks, without the values of variables, which may be secrets; `redact` sees their text too.
    tail: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, redact]
    if log_format is LogFormat.JSON:
        tail.append(structlog.processors.JSONRenderer(_dump))
    else:
        tail.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    # Not through the standard library's logging, which would take twice as long at each request.
    structlog.configure(
        processors=[*shared, *tail],
        logger_factory=partial(_Lines, sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _without_colours],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Jobs log their own results, and arq would add two lines for every sweep. Alembic logs its plugins at its import.
    for chatty in (
        "alembic.runtime.plugins",
        "arq",
        "botocore",
        "aiobotocore",
        "httpx",
        "httpcore",
        "uvicorn.access",
    ):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Lines:
    """Writes the events of one logger; a blocked stream delays no work."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self.name = name

    def _write(self, line: str) -> None:
        with suppress(OSError):
            self._stream.write(line + "\n")

    debug = info = warning = error = critical = _write


def _dump(event: Any, **options: Any) -> str:
    try:
        return orjson.dumps(event, **options).decode()
    except TypeError:
        # A key that is no text, a larger number, or a lone surrogate.
        return json.dumps(event, **options)


def _without_colours(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # uvicorn adds a coloured copy of its message.
    event.pop("color_message", None)
    return event


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values with names such as `token`, and texts in the form of a secret: a processor of structlog."""
    for key, value in event.items():
        event[key] = _HIDDEN if key.lower() in _SECRET_NAMES else _redact_value(value)
    return event


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        # Every secret contains one of these texts, which are found in a fraction of the time of the pattern.
        may_be_secret = "_" in value or "@" in value or "/cli/" in value or "sk-" in value or "eyJ" in value
        return _SECRET_VALUE.sub(_HIDDEN, value) if may_be_secret else value
    if isinstance(value, dict):
        return {
            key: _HIDDEN if str(key).lower() in _SECRET_NAMES else _redact_value(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redact_value(item) for item in value]
    return value
