"""Enumeration of the scopes of API keys."""

from enum import StrEnum


class Scope(StrEnum):
    """The access that a personal API key grants. A write scope includes its read scope, and ANY includes all."""

    ANY = "*"
    TASK_READ = "task:read"
    TASK_WRITE = "task:write"
    USER_READ = "user:read"
    USER_WRITE = "user:write"
    PROJECT_READ = "project:read"
    PROJECT_WRITE = "project:write"
    WEBHOOK_READ = "webhook:read"
    WEBHOOK_WRITE = "webhook:write"
