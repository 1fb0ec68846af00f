"""Keys in the ASGI scope of a request, by which middleware, routes and responses inform each other."""

from typing import Final

# The path as requested, before the optional slash was removed.
ORIGINAL_PATH: Final = "taskbeacon.original_path"
# Set for a HEAD request, so that an endless response or a stored file sends its headers only.
IS_HEAD: Final = "taskbeacon.is_head"
# Set for a request with an endless response: its duration is not counted in the metrics.
IS_ENDLESS: Final = "taskbeacon.is_endless"
# The database session of the request, and its `Call`. Reading them from Starlette's `state` takes ten times as long.
SESSION: Final = "taskbeacon.session"
CALL: Final = "taskbeacon.call"
# Headers with the rest of the caller's request limit, if the request was counted.
RATE_LIMIT: Final = "taskbeacon.rate_limit"
