"""Errors that end a run: any exception becomes one of them, and copies keep what they know."""

import errno

import pytest

from app.agents.errors import (
    AgentCancelled,
    AgentFailed,
    AgentOverLimit,
    DiskFull,
    UnexpectedError,
    as_agent_error,
    unfinished,
)
from app.agents.run_result import RunResult, WorkBase
from app.enums import CheckCause

PARTIAL = RunResult(
    structured=None,
    summary="",
    head_branch=None,
    head_sha=None,
    base=WorkBase("main", None),
    files_changed=["a"],
    patch=b"",
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "full"), DiskFull),
        (OSError(errno.EDQUOT, "full"), DiskFull),
        (OSError(errno.EACCES, "secret-path"), UnexpectedError),
        (ValueError("secret-path"), UnexpectedError),
    ],
)
def test_other_exceptions_end_a_run_without_their_words(error: Exception, kind: type[Exception]) -> None:
    ended = as_agent_error(error)
    assert type(ended) is kind
    assert "secret-path" not in ended.message


def test_error_of_the_agent_stays() -> None:
    error = AgentFailed("It cannot.")
    assert as_agent_error(error) is error


def test_copy_keeps_all_else() -> None:
    error = AgentOverLimit("Too much.", cause=CheckCause.DISK_FULL)
    copy = error.with_partial(PARTIAL).with_message("Far too much.")
    assert (type(copy), copy.cause, copy.partial) == (AgentOverLimit, CheckCause.DISK_FULL, PARTIAL)
    assert (copy.message, str(copy)) == ("Far too much.", "Far too much.")
    assert (error.message, error.partial) == ("Too much.", None)
    assert AgentCancelled().with_partial(PARTIAL).message == "The run was cancelled."


def test_only_some_ends_of_a_turn_are_failures() -> None:
    assert unfinished("end_turn") is None
    refused = unfinished("refusal")
    assert refused is not None
    assert refused.message == "The agent refused to do this."
