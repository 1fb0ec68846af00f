"""Looking up the names of hosts that others chose."""

import asyncio
import gc
import socket
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest

from app.clients.http.host_names import NameNotFound, Names
from tests.support.waiting import next_round


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


async def test_look_up_that_fails_after_its_callers_have_left_is_no_unhandled_error() -> None:
    """Regression: asyncio logged that the exception was never retrieved."""
    loop, asked, may_fail = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    threads: list[threading.Thread] = []
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))

    def names(_host: str, _port: int) -> Sequence[str]:
        threads.append(threading.current_thread())
        loop.call_soon_threadsafe(asked.set)
        may_fail.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with closing(Names(names)) as looked_up:
        caller = asyncio.create_task(looked_up.find("example.com", 443))
        await asked.wait()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        # It holds the look-up by its trace.
        del caller
        may_fail.set()
    # Its thread ends with the look-up.
    await asyncio.to_thread(threads[0].join)
    await next_round()
    gc.collect()
    assert unhandled == []
