"""Answers an agent's permission requests by the permission mode of the run, or leaves them to a person."""

from collections.abc import Sequence

from acp.schema import PermissionOption

_CAUTIOUS_MODES = ("plan", "read-only")
_TRUSTING_MODES = ("bypassPermissions", "full-access")
_ALLOWING = ("allow_once", "allow_always")
_REFUSING = ("reject_once", "reject_always")
# How an agent asks for approval of its plan: only a person can give that.
_PLAN_APPROVAL = "switch_mode"


def is_for_people(mode: str | None, tool_kind: str | None) -> bool:
    """Return whether a question is for the people who follow an interactive run."""
    return mode not in _TRUSTING_MODES or tool_kind == _PLAN_APPROVAL


def decide(mode: str | None, options: Sequence[PermissionOption]) -> str | None:
    """Return the id of the option to take without asking a person; None if none fits, which cancels the request.

    The sandbox confines a background run, so requests are allowed, but only once: no permission should outlive its
    question. The modes that promise to change nothing refuse.
    """
    return _first(options, _REFUSING if mode in _CAUTIOUS_MODES else _ALLOWING)


def refuse(options: Sequence[PermissionOption]) -> str | None:
    """Return the id of the option that refuses; None if there is none, which cancels the request."""
    return _first(options, _REFUSING)


def _first(options: Sequence[PermissionOption], kinds: Sequence[str]) -> str | None:
    return next((option.option_id for kind in kinds for option in options if option.kind == kind), None)
