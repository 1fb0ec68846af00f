"""Enumerations of keys, limits and logs."""

from enum import StrEnum


class Scope(StrEnum):
    """The access that a personal API key grants; write implies read, ANY implies all (contract 2.3)."""

    ANY = "*"
    TASK_READ = "task:read"
    TASK_WRITE = "task:write"
    USER_READ = "user:read"
    USER_WRITE = "user:write"
    PROJECT_READ = "project:read"
    PROJECT_WRITE = "project:write"
    WEBHOOK_READ = "webhook:read"
    WEBHOOK_WRITE = "webhook:write"


class LimitType(StrEnum):
    """The usage limit that a project exceeded: for a short period or a long one (contract 2.4)."""

    BURST = "burst"
    SUSTAINED = "sustained"


class LogFormat(StrEnum):
    """The format of log lines."""

    JSON = "json"
    CONSOLE = "console"
