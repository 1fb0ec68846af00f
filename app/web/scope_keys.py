"""Keys that middleware and answers set in the scope of a request, for each other."""

from typing import Final

# The path as requested, before the optional slash was removed.
ORIGINAL_PATH: Final = "taskbeacon.original_path"
# Key in the scope of a HEAD request, for answers without an end.
IS_HEAD: Final = "taskbeacon.is_head"
# Key in the scope of a request with an endless answer: its duration is not counted in the metrics.
IS_ENDLESS: Final = "taskbeacon.is_endless"
