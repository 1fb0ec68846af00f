"""What an API key may do, by its scopes; web/auth.py has the scope of each route."""

from app.enums import Scope
from app.errors import PermissionDenied
from app.services.access.principal import Principal


def require_scope(principal: Principal, scope: Scope) -> None:
    if not has_scope(principal, scope):
        raise PermissionDenied(f"API key missing required scope '{scope}'")


def has_scope(principal: Principal, scope: Scope) -> bool:
    granted = principal.scopes
    subject, _, verb = scope.partition(":")
    return Scope.ANY in granted or scope in granted or (verb == "read" and f"{subject}:write" in granted)
