"""Check the URL of a webhook endpoint. At each attempt, `clients/guarded_http.py` checks the addresses of its host."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from app.addresses import AddressPolicy
from app.errors import InvalidInput

_LONGEST_NAME = 253
_HIGHEST_PORT = 65535
_SECURE_PORT = 443
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label begins with a letter: no form of an IP address counts as a name.
_NAME = re.compile(rf"(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)
_LOCAL_NAMES = frozenset({"local", "localhost"})


def check_url(url: str, policy: AddressPolicy) -> None:
    """Check that webhook messages may be sent to a URL. The host name is not resolved.

    Args:
        url: the URL, at most 2048 characters.
        policy: the networks that the operator opened. If there are none, the URL must use HTTPS on port 443 and a host
            name with a dot.

    Raises:
        InvalidInput: the URL is not allowed.

    """
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise _refusal("Enter a URL in ASCII, without blanks; write other letters of a host as `xn--`.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refusal("Enter a valid URL.") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise _refusal("Enter a URL that begins with https://.")
    if "@" in parts.netloc:
        raise _refusal("The URL may hold neither a user nor a password.")
    if "#" in url:
        raise _refusal("The URL may have no fragment.")
    if not policy.opened and (parts.scheme != "https" or port not in {None, _SECURE_PORT}):
        raise _refusal("The URL must use https on port 443.")
    if port is not None and not 0 < port <= _HIGHEST_PORT:
        raise _refusal("Enter a valid URL.")
    _check_host(parts, policy)


def _check_host(parts: SplitResult, policy: AddressPolicy) -> None:
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        _check_name(host, policy)
        return
    if "%" in host or not policy.is_open(host):
        raise _refusal("The URL must name a host, not an address.")


def _check_name(host: str, policy: AddressPolicy) -> None:
    if len(host) > _LONGEST_NAME or not _NAME.fullmatch(host):
        raise _refusal("Enter a valid host name.")
    is_local = "." not in host or host.rpartition(".")[2] in _LOCAL_NAMES
    if is_local and not policy.opened:
        raise _refusal("The URL must name a host of the Internet.")


def _refusal(text: str) -> InvalidInput:
    return InvalidInput(text, attr="url")
