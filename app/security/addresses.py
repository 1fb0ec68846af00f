"""Decide which addresses the service may connect to, if a user or an agent has chosen the target."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

# `ipaddress` depends on the version of Python, this list does not: the IANA special-purpose registries as of 2025,
# blocks with few global addresses, and addresses that exist only inside clouds.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",  # shared between providers and customers (RFC 6598)
            "168.63.129.16/32",  # Azure's platform, inside its networks
            "192.0.0.0/24",  # IETF protocol assignments (RFC 6890)
            "192.88.99.0/24",  # 6to4 relays, deprecated (RFC 7526)
            "198.18.0.0/15",  # benchmarks (RFC 2544)
            "224.0.0.0/3",  # multicast and reserved
        ),
    )
)
# All global addresses are in this block (RFC 4291).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarks, AS112, AMT, DRIP (RFC 2928)
            "2001:db8::/32",  # documentation (RFC 3849)
            "3ffe::/16",  # 6bone, returned (RFC 3701)
            "3fff::/20",  # documentation (RFC 9637)
        ),
    )
)
# A NAT64 gateway translates these to the IPv4 address in their last 32 bits.
_NAT64 = IPv6Network("64:ff9b::/96")


# Networks in which clouds serve credentials to their machines: always refused, even if an operator opened them.
_METADATA = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",  # most clouds
            "fe80::/10",  # the same of IPv6
            "fd00:ec2::/32",  # Amazon
            "fd20:ce::254",  # Google Cloud
            "168.63.129.16",  # Azure's platform
            "100.100.100.200",  # Alibaba Cloud
            "192.0.0.192",  # Oracle Cloud
            "fd00:c1::a9fe:a9fe",  # likewise
        ),
    )
)
_SECURE_PORT = 443
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Permits public addresses by HTTPS on port 443, and those in networks `opened` by any scheme and port."""

    opened: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, networks: tuple[str, ...]) -> "AddressPolicy":
        """Return a policy that also permits these networks, such as `10.0.0.0/8`. Raises ValueError."""
        return cls(tuple(map(ip_network, networks)))

    def admits(self, address: str, *, scheme: str, port: int) -> bool:
        """Return whether a request with this scheme and port may go to this IP address. Raises ValueError."""
        if self.is_open(address):
            return True
        return scheme == "https" and port == _SECURE_PORT and is_public(address)

    def admits_address(self, address: str) -> bool:
        """Return whether this IP address may be reached, by any scheme and port. Raises ValueError."""
        return self.is_open(address) or is_public(address)

    def is_open(self, address: str) -> bool:
        """Return whether the operator opened the network of an IP address; never where clouds serve credentials."""
        ends = list(_ends(ip_address(address.partition("%")[0])))
        return all(_is_in(end, self.opened) and not _is_in(end, _METADATA) for end in ends)


PUBLIC = AddressPolicy()


def split_url(url: str) -> SplitResult:
    """Return the parts of an HTTP URL that a user chose. Raises ValueError with a text for people."""
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise ValueError("Enter a URL in ASCII, without blanks; write other letters of a host as `xn--`.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("Enter a valid URL.") from None
    if port == 0:
        raise ValueError("Enter a valid URL.")
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("Enter a URL that begins with https://.")
    if "@" in parts.netloc:
        raise ValueError("The URL may hold neither a user nor a password.")
    return parts


def _is_in(address: IPv4Address | IPv6Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)


def is_public(address: str) -> bool:
    """Return whether an IP address, perhaps with a zone, is routed on the public internet. Raises ValueError."""
    return all(map(_is_public, _ends(ip_address(address.partition("%")[0]))))


def _ends(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            yield address.ipv4_mapped
            return
        if address in _NAT64:
            yield IPv4Address(int(address) & 0xFFFFFFFF)
            return
        if address.sixtofour is not None:
            yield address.sixtofour
    yield address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_6)
