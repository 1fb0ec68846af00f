"""Globs of paths: `*` stands for anything but `/`, `**` for any folders or none. No other character is special."""

import re
from collections.abc import Iterable
from functools import lru_cache

_FOLDERS = re.compile(r"(?:^|(?<=/))(?:\*\*/)*\*\*(?:/|$)")


def matches(globs: Iterable[str], path: str) -> bool:
    return any(_pattern(glob).fullmatch(path) for glob in globs)


@lru_cache(maxsize=1024)
def _pattern(glob: str) -> re.Pattern[str]:
    # Atomic groups keep every glob fast: after a wildcard, the first match of the rest is as good as any later one.
    first, *others = _FOLDERS.split(glob)
    if not others:
        return re.compile(_names(first), re.DOTALL)
    *middle, last = others
    between = "".join(f"(?>(?:[^/]+/)*?{_names(names)})" for names in middle)
    return re.compile(_names(first) + between + (f"(?:[^/]+/)*{_names(last)}" if last else ".+"), re.DOTALL)


def _names(glob: str) -> str:
    first, *others = map(re.escape, re.split(r"\*+", glob))
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>[^/]*?{text})" for text in middle) + f"[^/]*{last}"
