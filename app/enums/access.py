"""Enumeration of the scopes of API keys."""

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
