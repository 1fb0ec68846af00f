"""Taskbeacon: runs coding agents on tasks, streams their work live, and pushes when a run needs a person."""

# The only definition: the package's metadata and the published description read it.
__version__ = "0.1.0"
