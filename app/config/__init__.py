"""The settings of a process, read from its environment variables."""

from app.config.settings import Settings, get_settings, unknown_variables
from app.config.values import LogFormat

__all__ = ["LogFormat", "Settings", "get_settings", "unknown_variables"]
