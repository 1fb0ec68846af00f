"""Who answers when an agent asks whether it may: in a background run, this policy."""

from collections.abc import Sequence

from acp.schema import PermissionOption

__all__ = ["decide"]

_CAUTIOUS_MODES = ("plan", "read-only")
_ALLOWING = ("allow_once", "allow_always")
_REFUSING = ("reject_once", "reject_always")


def decide(mode: str | None, options: Sequence[PermissionOption]) -> str | None:
    """Return the id of the option to take; None if none fits, which cancels the request.

    The sandbox is what confines a background run, so it is allowed, and only once: nothing that an agent asks
    for should outlive the question. The modes that promise to change nothing refuse.
    """
    kinds = _REFUSING if mode in _CAUTIOUS_MODES else _ALLOWING
    for kind in kinds:
        for option in options:
            if option.kind == kind:
                return option.option_id
    return None
