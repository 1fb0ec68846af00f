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
    """Return whether people must answer a permission request.

    They must, unless the permission mode `mode` is `bypassPermissions` or `full-access`. If `mode` is None, because the
    run names no mode, people must answer. An agent's request for approval of its plan is always for people:
    `tool_kind`, the kind of the tool for which permission is requested, is then `switch_mode`. It is None if the agent
    names no kind.
    """
    return mode not in _TRUSTING_MODES or tool_kind == _PLAN_APPROVAL


def decide(mode: str | None, options: Sequence[PermissionOption]) -> str | None:
    """Return the id of the option that the service chooses for a permission request without asking people.

    In permission modes that promise no changes, that is an option to refuse. In all other modes it is an option to
    allow, because the sandbox confines the agent: to allow once, or else always. Return None, which cancels the
    request, if the agent offers no such option.
    """
    return _first(options, _REFUSING if mode in _CAUTIOUS_MODES else _ALLOWING)


def refuse(options: Sequence[PermissionOption]) -> str | None:
    """Return the id of an option that refuses the permission request; None if the agent offers no such option."""
    return _first(options, _REFUSING)


def _first(options: Sequence[PermissionOption], kinds: Sequence[str]) -> str | None:
    return next((option.option_id for kind in kinds for option in options if option.kind == kind), None)
