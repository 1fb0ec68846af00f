"""Taskbeacon's client to import (`taskbeacon.client`)."""

__version__ = "0.1.0"
