"""Taskbeacon: runs coding agents on tasks, streams their work live, and pushes when a run needs a person."""

# That of the client too, which is not imported: the sandbox of an agent has this package alone.
__version__ = "0.1.0"
