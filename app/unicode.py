"""Text from programs and networks, made such that it can be stored: encoded as UTF-8, and kept by PostgreSQL."""

import re
from typing import Any

__all__ = ["storable"]

# PostgreSQL keeps no NUL, neither in text nor in jsonb; a lone surrogate is no character and has no UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def storable(value: Any) -> Any:  # Any: JSON
    """Return JSON data, or a text, with a replacement character for each that cannot be stored."""
    match value:
        case str():
            return _UNSTORABLE.sub(_REPLACEMENT, value)
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case list():
            return [storable(item) for item in value]
        case _:
            return value
