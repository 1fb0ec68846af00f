"""Keys in the ASGI scope of a request, by which middleware and responses inform each other."""

from typing import Final

# The path as requested, before the optional slash was removed.
ORIGINAL_PATH: Final = "taskbeacon.original_path"
# Set for a HEAD request, so that an endless response or a stored file sends its headers only.
IS_HEAD: Final = "taskbeacon.is_head"
# Set for a request with an endless response: its duration is not counted in the metrics.
IS_ENDLESS: Final = "taskbeacon.is_endless"
