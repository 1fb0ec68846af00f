"""What every request passes through before its endpoint."""

import inspect
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts


def calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for part in dependant.dependencies:
        yield from calls(part)


def is_async(call: object) -> bool:
    function = call if inspect.isroutine(call) else type(call).__call__
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def test_nothing_of_a_request_is_done_in_a_thread(shared_application: FastAPI) -> None:
    """FastAPI takes functions that are not `async` to a thread and back, which costs more than most of them."""
    dependants = [
        dependant
        for route in iter_route_contexts(shared_application.routes)
        if (dependant := getattr(route, "dependant", None)) is not None
    ]
    assert len(dependants) > 30
    in_threads = {call for dependant in dependants for call in calls(dependant) if not is_async(call)}
    assert in_threads == set()
