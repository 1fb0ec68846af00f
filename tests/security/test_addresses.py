"""Public addresses: by the IANA registries, in every way that an address can be written or wrapped."""

import pytest

from app.security.addresses import is_public

pytestmark = pytest.mark.walls


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing binds to it
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",  # metadata of Alibaba's cloud
        "127.0.0.1",
        "168.63.129.16",  # Azure's platform
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.0.192",  # metadata of Oracle's older machines
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:168.63.129.16",
        "::ffff:0:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::168.63.129.16",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "100:0:0:1::1",
        "2001:0:7f00:1::80ff:fffe",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a83f:8110::1",
        "3ffe::1",
        "3fff::1",
        "3fff:fff:ffff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "feff::1",
        "ff02::1",
    ],
)
def test_address_is_not_public(address: str) -> None:
    """`ipaddress` takes some of these for global; which ones depends on the version of Python."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "93.184.216.34",
        "140.82.121.3",
        "168.63.129.17",
        "192.0.1.1",
        "::ffff:8.8.8.8",
        # As github.com is seen from networks that have IPv6 only.
        "64:ff9b::140.82.121.3",
        "2002:808:808::1",
        "2001:4860:4860::8888",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "3fff:1000::1",
    ],
)
def test_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_host_name_is_refused_as_an_address() -> None:
    with pytest.raises(ValueError, match="example"):
        is_public("example.com")
