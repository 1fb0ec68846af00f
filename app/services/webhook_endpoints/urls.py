"""Check the URL of a webhook endpoint. At each attempt, `clients/guarded_http.py` checks the addresses of its host."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from app.addresses import AddressPolicy
from app.errors import InvalidInput

_LONGEST_NAME = 253
_HIGHEST_PORT = 65535
_SECURE_PORT = 443
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label begins with a letter: no form of an IP address counts as a name.
_NAME = re.compile(rf"(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)
# Last labels of names that no public server resolves: RFC 6761, RFC 6762 appendix G, and `internal` by ICANN.
_PRIVATE_LABELS = frozenset({"corp", "home", "internal", "intranet", "lan", "local", "localhost", "private"})


def check_url(url: str, policy: AddressPolicy) -> None:
    """Check that webhook messages may be sent to a URL. The host name is not resolved.

    HTTPS on port 443 to a public name is always allowed. Addresses must be in a network that the operator opened;
    private names need that some network is open. Both may use HTTP and other ports, since only addresses in these
    networks are then connected to.

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
    if port is not None and not 0 < port <= _HIGHEST_PORT:
        raise _refusal("Enter a valid URL.")
    is_private = _check_host(parts.hostname, policy)
    if not is_private and (parts.scheme != "https" or port not in {None, _SECURE_PORT}):
        raise _refusal("A URL with a public name must use https on port 443.")


def _check_host(host: str, policy: AddressPolicy) -> bool:
    """Return whether a host can only be inside the networks that the operator opened. Raises InvalidInput."""
    try:
        ip_address(host)
    except ValueError:
        return _check_name(host, policy)
    if "%" in host or not policy.is_open(host):
        raise _refusal("The URL must name a host, not an address.")
    return True


def _check_name(host: str, policy: AddressPolicy) -> bool:
    if len(host) > _LONGEST_NAME or not _NAME.fullmatch(host):
        raise _refusal("Enter a valid host name.")
    is_private = "." not in host or host.rpartition(".")[2] in _PRIVATE_LABELS or host.endswith(".home.arpa")
    if is_private and not policy.opened:
        raise _refusal("The URL must name a host of the Internet.")
    return is_private


def _refusal(text: str) -> InvalidInput:
    return InvalidInput(text, attr="url")
