"""Texts of agents as people may see them: nothing in them is hidden or turns the rest around."""

import unicodedata
from typing import Any

# Parts of ordinary words and emoji.
_JOINERS = frozenset("\u200c\u200d\ufe0f")
_SPACES = frozenset("\n\t ")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(value: Any) -> str:
    """Return a text with the code of each character in it that would not be seen."""
    return "".join(map(_shown, "" if value is None else str(value)))


def _shown(character: str) -> str:
    if character in _SPACES or character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"⟨U+{ord(character):04X}⟩"
