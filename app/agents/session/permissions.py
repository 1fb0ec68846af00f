"""Who answers when an agent asks whether it may: a person, or the permission mode of the run."""

from collections.abc import Sequence

from acp.schema import PermissionOption

__all__ = ["decide", "is_for_people", "refuse"]

_CAUTIOUS_MODES = ("plan", "read-only")
_TRUSTING_MODES = ("bypassPermissions", "full-access")
_ALLOWING = ("allow_once", "allow_always")
_REFUSING = ("reject_once", "reject_always")
# How an agent asks whether its plan is good: whatever it may do, this is not for it to say.
_PLAN_APPROVAL = "switch_mode"


def is_for_people(mode: str | None, tool_kind: str | None) -> bool:
    """Tell whether a question is one for the people who follow an interactive run."""
    return mode not in _TRUSTING_MODES or tool_kind == _PLAN_APPROVAL


def decide(mode: str | None, options: Sequence[PermissionOption]) -> str | None:
    """Return the id of the option to take where nobody is asked; None if none fits, which cancels the request.

    The sandbox is what confines a background run, so it is allowed, and only once: nothing that an agent asks
    for should outlive the question. The modes that promise to change nothing refuse.
    """
    return _first(options, _REFUSING if mode in _CAUTIOUS_MODES else _ALLOWING)


def refuse(options: Sequence[PermissionOption]) -> str | None:
    """Return the id of the option that refuses; None if there is none, which cancels the request."""
    return _first(options, _REFUSING)


def _first(options: Sequence[PermissionOption], kinds: Sequence[str]) -> str | None:
    for kind in kinds:
        for option in options:
            if option.kind == kind:
                return option.option_id
    return None
