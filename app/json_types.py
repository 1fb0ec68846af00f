"""Types of JSON values."""

from typing import Any

# An object whose fields are checked elsewhere, such as a body or a column of the type `jsonb`.
JsonDict = dict[str, Any]
