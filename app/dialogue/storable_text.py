"""Make text from other programs storable as UTF-8 and in PostgreSQL."""

import re
from typing import Any

# PostgreSQL stores no NUL, neither in text nor in jsonb; a lone surrogate has no encoding in UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def storable(value: object) -> Any:  # Any: JSON
    """Return a text or JSON value in which U+FFFD replaces each character that UTF-8 or PostgreSQL cannot store."""
    match value:
        case str():
            return _UNSTORABLE.sub(_REPLACEMENT, value)
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case list():
            return [storable(item) for item in value]
        case _:
            return value
