"""Requests to our own processes, and the proxy variables that these inherit."""

import socket
import threading

import pytest

from app.devstack.loopback import bypass_proxies, status_of


@pytest.mark.parametrize("answer", [b"", b"-ERR unknown command\r\n"], ids=["none", "of Redis"])
def test_answer_that_is_not_http_is_none(answer: bytes) -> None:
    """A launcher whose port another program had taken ended with a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def respond() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=respond)
        thread.start()
        status = status_of(f"http://127.0.0.1:{server.getsockname()[1]}/readyz", timeout=60)
        thread.join()

    assert status == 0


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
