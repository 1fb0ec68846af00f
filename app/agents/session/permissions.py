"""Answers an agent's permission requests by the permission mode of the run, or leaves them to people."""

from collections.abc import Sequence

from acp.schema import PermissionOption

_CAUTIOUS_MODES = ("plan", "read-only")
_TRUSTING_MODES = ("bypassPermissions", "full-access")
_ALLOWING = ("allow_once", "allow_always")
_REFUSING = ("reject_once", "reject_always")
# The tool kind by which an agent requests approval of its plan, which only a person can give.
_PLAN_APPROVAL = "switch_mode"


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
