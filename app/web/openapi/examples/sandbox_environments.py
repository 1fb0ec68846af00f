"""Sandbox environments."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from app.enums import NetworkAccessLevel
from app.schemas.sandbox_environments import (
    SandboxEnvironmentIn,
    SandboxEnvironmentOut,
    SandboxEnvironmentUpdateIn,
)
from app.web.openapi.examples.documents import CREATOR
from app.web.openapi.examples.operation import OperationExamples, page

__all__ = ["SANDBOX_ENVIRONMENT_EXAMPLES"]

_AT = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)

_ENVIRONMENT: SandboxEnvironmentOut = {
    "id": UUID("019ca8a0-5555-7c3e-9f62-0b5c1d2e3f40"),
    "name": "Web app",
    "network_access_level": NetworkAccessLevel.CUSTOM,
    "allowed_domains": ["registry.npmjs.org", "*.example.com"],
    "include_default_domains": False,
    "repositories": ["taskbeacon/taskbeacon"],
    "has_environment_variables": True,
    "environment_variable_keys": ["STAGING_TOKEN"],
    "private": False,
    "internal": False,
    "effective_domains": ["registry.npmjs.org", "*.example.com"],
    "created_by": CREATOR,
    "created_at": _AT,
    "updated_at": _AT,
}

SANDBOX_ENVIRONMENT_EXAMPLES: Mapping[str, OperationExamples] = {
    "sandbox_environments_list": OperationExamples(answer=page(_ENVIRONMENT)),
    "sandbox_environments_create": OperationExamples(
        answer=_ENVIRONMENT,
        bodies={
            "Hosts of its own, a secret, for everyone in the project": {
                "name": "Web app",
                "network_access_level": "custom",
                "allowed_domains": ["registry.npmjs.org", "*.example.com"],
                "repositories": ["taskbeacon/taskbeacon"],
                "environment_variables": {"STAGING_TOKEN": "s3cret"},
                "private": False,
            },
            "Package registries and code hosts, for me alone": {"name": "Mine"},
            "No network at all": {"name": "Offline", "network_access_level": "none", "private": False},
        },
        refused=(SandboxEnvironmentIn, {"name": "Web app", "network_access_level": "everything"}),
    ),
    "sandbox_environments_retrieve": OperationExamples(answer=_ENVIRONMENT),
    "sandbox_environments_partial_update": OperationExamples(
        answer=_ENVIRONMENT,
        bodies={
            "Share it": {"private": False},
            "Replace its variables": {"environment_variables": {"STAGING_TOKEN": "s3cret"}},
        },
        refused=(SandboxEnvironmentUpdateIn, {"private": "maybe"}),
    ),
    "sandbox_environments_destroy": OperationExamples(),
}
