"""The API for `taskbeacon serve`: behind the trusted proxies, with logging configured."""

from starlette.types import ASGIApp

from app.config import get_settings
from app.main import create_app
from app.observability import configure_logging
from app.web.proxies import TrustedProxies


def create_logging_app() -> ASGIApp:
    """Configure the logging of this process, and return the API, which applies the headers of trusted proxies.

    The settings in the environment variables decide both.
    """
    settings = get_settings()
    configure_logging(settings.log_format, settings.log_level)
    return TrustedProxies(create_app(settings), trusted=settings.forwarded_allow_ips)
