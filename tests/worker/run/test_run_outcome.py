"""The reasons of failed runs, which label the metrics and are the `error_type` of events."""

import re
from collections.abc import Iterator

import pytest

import app.worker.run.run_files  # noqa: F401 - has an error of its own
from app.agents.errors import AgentCancelled, AgentError


def _kinds(of: type[AgentError]) -> Iterator[type[AgentError]]:
    yield of
    for kind in of.__subclasses__():
        yield from _kinds(kind)


@pytest.mark.parametrize("kind", [kind for kind in _kinds(AgentError) if kind is not AgentCancelled])
def test_each_error_of_an_agent_has_a_reason_of_its_own(kind: type[AgentError]) -> None:
    reason = kind.reason

    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
    assert reason.value == words
    assert reason.error_type == words.replace(" ", "_")
