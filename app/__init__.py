"""Taskbeacon: runs coding agents on tasks, streams their work live, and pushes when a run needs a person."""

from taskbeacon import __version__ as __version__
