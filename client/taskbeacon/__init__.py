"""Taskbeacon for people (the command, `taskbeacon.cli`) and for programs (the client, `taskbeacon.client`)."""

# Also that of the server, whose own `app.__version__` a test compares.
__version__ = "0.1.0"
