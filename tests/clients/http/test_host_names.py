"""Looking up the names of hosts that others chose."""

import socket
from collections.abc import Sequence
from contextlib import closing

import pytest

from app.clients.http.host_names import NameNotFound, Names


async def test_name_whose_server_is_silent_is_not_looked_up_again_and_again() -> None:
    """Regression: each look-up held a thread, until none was left for the names of others."""
    asked: list[str] = []

    def names(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        if host == "silent.example.com":
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return ["203.0.113.7"]

    with closing(Names(names, slow_seconds=0)) as patient_with_none:
        for _ in range(2):
            with pytest.raises(NameNotFound):
                await patient_with_none.find("silent.example.com", 443)
            assert await patient_with_none.find("slow.example.com", 443) == ["203.0.113.7"]
    assert asked == ["silent.example.com", "slow.example.com", "slow.example.com"]

    asked.clear()
    with closing(Names(names)) as patient:
        for _ in range(2):
            with pytest.raises(NameNotFound):
                await patient.find("silent.example.com", 443)
    assert len(asked) == 2
