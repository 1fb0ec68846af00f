"""Taskbeacon: tasks done by coding agents, followed live, with a push when one ends or needs you."""

# The only definition: the package's metadata and the published description read it.
__version__ = "0.1.0"
