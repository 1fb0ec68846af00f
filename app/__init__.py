"""Taskbeacon: runs coding agents on tasks, streams their work live, and pushes when a run needs a person."""

# The same as that of the client, which is not imported, because the sandbox of an agent has this package alone.
__version__ = "0.1.0"
