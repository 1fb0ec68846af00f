"""The proxy variables that our own processes inherit."""

from app.devstack.loopback import bypass_proxies


def test_own_addresses_are_excepted_and_socks_is_left_out() -> None:
    """With one of SOCKS in its environment the HTTP client of a process could not even be made."""
    given = {
        "PATH": "/bin",
        "https_proxy": "http://proxy.example:3128",
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "all_proxy": "SOCKS5H://127.0.0.1:9",
        "NO_PROXY": "internal.example",
    }

    exceptions = "internal.example,127.0.0.1,localhost,::1"
    assert bypass_proxies(given) == {
        "PATH": "/bin",
        "https_proxy": "http://proxy.example:3128",
        "no_proxy": exceptions,
        "NO_PROXY": exceptions,
    }
