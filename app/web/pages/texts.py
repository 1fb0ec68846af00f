"""Make texts of agents safe to show: no character is invisible or reverses the direction of the text."""

import unicodedata
from typing import Any

# Invisible characters in ordinary words and emoji, which are kept.
_JOINERS = frozenset("\u200c\u200d\ufe0f")
_SPACES = frozenset("\n\t ")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(value: Any) -> str:
    """Return a value as text in which a code such as ⟨U+202E⟩ replaces each invisible character."""
    return "".join(map(_escape, "" if value is None else str(value)))


def _escape(character: str) -> str:
    if character in _SPACES or character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"⟨U+{ord(character):04X}⟩"
