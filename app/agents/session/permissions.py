"""Answers an agent's permission requests by the permission mode of the run, or leaves them to people."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from acp.schema import PermissionOption

from app.agents.session.transport import Message

_CAUTIOUS_MODES = ("plan", "read-only")
_TRUSTING_MODES = ("bypassPermissions", "full-access")
_ALLOWING = ("allow_once", "allow_always")
_REFUSING = ("reject_once", "reject_always")
# The tool kind by which an agent requests approval of its plan, which only a person can give.
_PLAN_APPROVAL = "switch_mode"


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """An agent's request for permission to make one tool call, with the options to choose from."""

    tool_call: Message  # as the agent sent it
    options: Sequence[PermissionOption]
    request: str = ""  # the id by which the agent withdraws it


@dataclass(frozen=True, slots=True)
class PermissionAnswer:
    """The id of the option that answers a permission request, and the `_meta` of the response, if any."""

    option_id: str
    meta: Message | None = None


Decide = Callable[[PermissionRequest], Awaitable[PermissionAnswer | None]]  # None cancels the question


def is_for_people(mode: str | None, tool_kind: str | None) -> bool:
    """Return whether people must answer: not in modes that bypass them, but always about a plan (`switch_mode`)."""
    return mode not in _TRUSTING_MODES or tool_kind == _PLAN_APPROVAL


def decide(mode: str | None, options: Sequence[PermissionOption]) -> str | None:
    """Choose without people: refuse in modes that promise no changes, else allow: the sandbox confines the agent."""
    return _first(options, _REFUSING if mode in _CAUTIOUS_MODES else _ALLOWING)


def refuse(options: Sequence[PermissionOption]) -> str | None:
    """Return the id of an option that refuses the permission request; None if the agent offers no such option."""
    return _first(options, _REFUSING)


def _first(options: Sequence[PermissionOption], kinds: Sequence[str]) -> str | None:
    return next((option.option_id for kind in kinds for option in options if option.kind == kind), None)
