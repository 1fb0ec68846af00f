"""The settings of a process, read from its environment variables."""

from app.config.checks import LogFormat
from app.config.settings import Settings, get_settings, unknown_variables

__all__ = ["LogFormat", "Settings", "get_settings", "unknown_variables"]
