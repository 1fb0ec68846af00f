"""Taskbeacon: tasks done by coding agents, followed live, with a push when one ends or needs you."""

# The one place of it: the package's metadata and the published description take it from here.
__version__ = "0.1.0"
