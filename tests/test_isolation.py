"""A promise of the suite itself: none of its connections leaves this machine."""

import socket

import pytest

from tests.conftest import OutsideConnection


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.com", 80), ("2001:db8::1", 80, 0, 0)])
def test_no_connection_leaves_this_machine(address: tuple[str | int, ...]) -> None:
    with socket.socket() as sender:
        for attempt in (sender.connect, sender.connect_ex, lambda place: sender.sendto(b"", place)):
            with pytest.raises(OutsideConnection):
                attempt(address)
