"""Read and write the cookie of a console session, and refuse requests from other sites (contract 17)."""

from ipaddress import ip_address

from fastapi import Request

from app.errors import PermissionDenied
from app.services.accounts.console_sessions import SESSION_LIFETIME
from app.web.responses import SAFE_METHODS

_SECURE_NAME = "__Host-taskbeacon"
_LOCAL_NAME = "taskbeacon"
_MAX_LENGTH = 512
# The values of `Sec-Fetch-Site` for a request by the page itself, or by the person.
_OWN_SITES = frozenset({"same-origin", "none"})


def session_secret(request: Request) -> str | None:
    if "cookie" not in request.headers:
        return None
    name = _name(request)
    # Of two cookies with this name the last one is ours: browsers send longer paths first, and ours has the path `/`.
    # Another server can set one only over plain http on loopback.
    secret = request.cookies.get(name) if name else None
    if not secret:
        return None
    if request.method not in SAFE_METHODS and not _is_from_own_page(request):
        raise PermissionDenied("A request with the console's cookie must come from the console's own page.")
    return secret[:_MAX_LENGTH]


def refuse_other_sites(request: Request) -> None:
    if _is_from_own_page(request) is False:
        raise PermissionDenied("Signing in must be asked for by the console's own page.")


def new_cookie(request: Request, secret: str) -> str:
    return _cookie(request, secret, int(SESSION_LIFETIME.total_seconds()))


def no_cookie(request: Request) -> str:
    return _cookie(request, "", 0)


def _cookie(request: Request, value: str, seconds: int) -> str:
    name = _name(request)
    if name is None:
        raise PermissionDenied("The console needs https, except on localhost.")
    secure = "; Secure" if name == _SECURE_NAME else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def _name(request: Request) -> str | None:
    if request.scope["scheme"] == "https":
        return _SECURE_NAME
    return _LOCAL_NAME if _is_loopback(request) else None


def _is_loopback(request: Request) -> bool:
    try:
        host = request.url.hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_from_own_page(request: Request) -> bool | None:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN_SITES
    origin = request.headers.get("origin")
    if origin is None:
        return None
    return origin == f"{request.scope['scheme']}://{request.headers.get('host', '')}"
