"""The reasons of failed runs, which label the metrics and are the `error_type` of events."""

import re
from collections.abc import Iterator

import pytest

from app.agents.errors import AgentCancelled, AgentError
from app.worker.run.outcome import reason_of


def _kinds(of: type[AgentError]) -> Iterator[type[AgentError]]:
    yield of
    for kind in of.__subclasses__():
        yield from _kinds(kind)


@pytest.mark.parametrize("kind", [kind for kind in _kinds(AgentError) if kind is not AgentCancelled])
def test_each_error_of_an_agent_has_a_reason_of_its_own(kind: type[AgentError]) -> None:
    reason = reason_of(kind("It did not work."))

    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
    assert reason.value == words
    assert reason.error_type == words.replace(" ", "_")


def test_error_without_a_reason_of_its_own_has_that_of_its_base() -> None:
    class Particular(AgentError):
        pass

    assert reason_of(Particular("It did not work.")) == "agent error"
